/**
 * Suite B: each call of a log's day fails, with each errno, once and for ever. A run of all tests takes a sample spread
 * over the day; `TANDEM_ALL=1` takes every one.
 * Source: wal.md 3.7, 3.8, 6.1, 6.2.
 */

import { describe, expect, it } from 'vitest'
import type { MQError } from '../../../lib/errors/index.js'
import type { LogDurability } from '../../../lib/wal/index.js'
import { type Answer, type Call, ERRNOS, failCall } from '../../support/wal-sim/index.js'
import { type Day, runDay } from './script.js'

const DURABILITIES: readonly LogDurability[] = ['immediate', 'os', 'periodic']

/** Of each list, spread over it; other errors begin elsewhere, so that together they meet more calls. */
const SAMPLE = 7

function sampled<T>(all: readonly T[], shift = 0): T[] {
  if (process.env.TANDEM_ALL === '1' || all.length <= SAMPLE) return [...all]
  const stride = all.length / SAMPLE
  return Array.from({ length: SAMPLE }, (_, at) => all[Math.floor((at + (shift % 12) / 12) * stride)] as T)
}

/** Ways one call fails beyond its error alone. */
function answersFor(call: Call, code: string): Answer[] {
  if (call.kind === 'write') return [{ code }, { code, written: Math.floor(call.bytes / 2) }]
  if (call.kind === 'fdatasync') return [{ code }, { code, dropsPages: true }]
  return [{ code }]
}

/** An error is never swallowed: the caller met it, was told of it, or finds it in the numbers. */
function silence(day: Day, call: Call, code: string): string[] {
  // Nothing depends on the end of a descriptor that was only read.
  if (call.kind === 'close' && call.mode === 'read') return []
  const isMet = day.errors.some((error) => errnoOf(error) === code)
  const isCounted = day.measures.some((measures) => (measures.errors.get(code) ?? 0) > 0)
  const isHot = call.path.endsWith('.wal') && (call.kind === 'write' || call.kind === 'fdatasync')
  if (isMet || isCounted) return []
  if (isHot) return [`${code} is neither with the caller nor in measures().errors`]
  if (day.told.length > 0 && day.told.some(({ event }) => event !== 'progress')) return []
  return day.lines.length > 0 ? [] : [`${code} was swallowed: no error, no event, no count, no line in the log`]
}

/** The system's name of an error, wherever in the chain of causes it is. */
function errnoOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    if (code !== undefined && (ERRNOS as readonly string[]).includes(code)) return code
  }
  return ''
}

/**
 * Calls that stand for all. Of the two errors that every disk has sooner or later each call; of the others the first
 * and the last of each site: kind of call, kind of file, opening.
 */
function callsFor(trace: readonly Call[], durability: LogDurability, code: string): Call[] {
  if (durability === 'immediate' && (code === 'EIO' || code === 'ENOSPC')) return [...trace]
  const second = trace.findLastIndex((call) => call.kind === 'lock')
  const sites = new Map<string, Call[]>()
  for (const call of trace) {
    const file = call.path.replace(/[0-9a-f]{16}|\d+/g, 'n')
    const site = `${call.kind} ${call.mode} ${file} ${call.index > second}`
    sites.set(site, [...(sites.get(site) ?? []), call])
  }
  return [...sites.values()].flatMap((calls) => (calls.length === 1 ? calls : [calls[0]!, calls.at(-1)!]))
}

describe.each(DURABILITIES)('a failing call, durability %s (wal.md 3.7, 3.8, suite B)', (durability) => {
  it('has a day without faults to compare with', async () => {
    const day = await runDay({ durability, inject: null })
    expect(day.faults).toEqual([])
    expect(day.errors).toEqual([])
    expect(day.states).toEqual(['open', 'open'])
    expect(day.accepted).toBe(52)
  })

  for (const code of ERRNOS)
    for (const isForEver of [false, true])
      it(`${code} ${isForEver ? 'for ever' : 'once'} at each call: typed, told, nothing promised is lost, no hang`, async () => {
        const { disk: calm } = await runDay({ durability, inject: null })
        const failures: string[] = []
        const shift = ERRNOS.indexOf(code) * 2 + Number(isForEver)
        const cases = callsFor(calm.trace, durability, code).flatMap((call) =>
          answersFor(call, code).map((answer) => ({ call, answer })),
        )
        for (const { call, answer } of sampled(cases, shift)) {
          const day = await runDay({ durability, inject: failCall(call.index, answer, isForEver) })
          const faults = [...day.faults, ...silence(day, call, code)]
          for (const fault of faults)
            failures.push(`call ${call.index} ${call.kind} ${call.path} ${JSON.stringify(answer)}: ${fault}`)
        }
        expect(failures.slice(0, 12)).toEqual([])
      }, 300_000)
})

describe('a disk that refuses every write from the first spare on (wal.md 3.8)', () => {
  it('keeps nobody waiting in open(): it is tried twice and then says why', async () => {
    const { disk: calm } = await runDay({ durability: 'immediate', inject: null })
    const first = calm.trace.find(({ kind, path }) => kind === 'write' && path.includes('spare'))!
    const day = await runDay({ durability: 'immediate', inject: failCall(first.index, { code: 'EIO' }, true) })
    expect(day.faults).toEqual([])
    expect(day.errors.map(errnoOf)).toContain('EIO')
    expect(day.disk.trace.length, 'no loop of attempts').toBeLessThan(calm.trace.length * 2)
  })
})

describe('a disk from which nothing can be read any more (wal.md 2.8)', () => {
  it('is named: none of its segments is called missing, and no loss is to be accepted', async () => {
    const { disk: calm } = await runDay({ durability: 'immediate', inject: null })
    const second = calm.trace.findLastIndex(({ kind }) => kind === 'lock')
    const first = calm.trace.find(
      ({ kind, path, index }) => kind === 'read' && path.endsWith('.wal') && index > second,
    )!
    const day = await runDay({ durability: 'immediate', inject: failCall(first.index, { code: 'EIO' }, true) })
    expect(day.faults).toEqual([])
    const [error] = day.errors as MQError[]
    expect(error).toMatchObject({ context: { reason: 'WAL_CORRUPT', errno: 'EIO' } })
    expect(error?.message).toContain('cannot be read (EIO)')
    expect(error?.message).not.toContain('accept')
  })
})

describe('short writes and hanging calls (wal.md 3.8, 3.9)', () => {
  it('a short write without an error is the same as a full disk: no promise is broken', async () => {
    const { disk: calm } = await runDay({ durability: 'immediate', inject: null })
    const failures: string[] = []
    for (const call of sampled(calm.trace.filter(({ kind }) => kind === 'write'))) {
      for (const written of [0, 1, 511, Math.floor(call.bytes / 2), call.bytes - 1]) {
        const day = await runDay({ durability: 'immediate', inject: failCall(call.index, { written }, false) })
        for (const fault of day.faults) failures.push(`call ${call.index} ${call.path} short ${written}: ${fault}`)
      }
    }
    expect(failures.slice(0, 12)).toEqual([])
  }, 120_000)

  it('a call that never ends does not keep close() waiting beyond its bound', async () => {
    const { disk: calm } = await runDay({ durability: 'immediate', inject: null })
    const failures: string[] = []
    for (const call of sampled(calm.trace)) {
      const day = await runDay({
        durability: 'immediate',
        inject: failCall(call.index, { isHung: true }, false),
        mayHang: true,
      })
      for (const fault of day.faults) failures.push(`call ${call.index} ${call.kind} ${call.path} hangs: ${fault}`)
    }
    expect(failures.slice(0, 12)).toEqual([])
  }, 120_000)
})
