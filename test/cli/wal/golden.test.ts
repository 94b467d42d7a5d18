/**
 * The commands on the golden directories (wal.md 2.9, suite J): what every release must say of logs that were written by
 * format 1.0, clean and crashed. Their batches are patterns and no RecordBatches, which `verify` has to notice.
 */
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../docs/markdown.js'
import { cliStage, jsonLines } from '../stage.js'
import { contentOf, newDirectory } from './logs.js'

const FOLDER = join(ROOT, 'test/fixtures/wal/v1.0')
const stage = cliStage()

interface Described {
  readonly findings: readonly { readonly kind: string; readonly fromByte: number; readonly text: string }[]
  readonly segments: readonly { readonly number: number; readonly end: number; readonly lastLsn: number }[]
  readonly streams: readonly { readonly topic: string; readonly partition: number; readonly nextPosition: number }[]
  readonly entries: readonly { readonly unsettled: number }[]
  readonly holes: readonly { readonly fromLsn: number }[]
  readonly isClean: boolean
}

const EXITS: Readonly<Record<string, number>> = { torn: 1, discarded: 1, reordered: 1, corrupt: 2, badCheckpoint: 2 }
const names = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.replace('.json', ''))

describe('the golden directories of format 1.0', () => {
  it('are there', () => {
    expect(names).toEqual(expect.arrayContaining(['clean', 'crashed']))
  })

  it.each(names)('wal.md 2.9: inspect tells of %s what it holds', async (name) => {
    const dir = newDirectory()
    cpSync(join(FOLDER, name), dir, { recursive: true })
    const before = contentOf(dir)
    const described = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Described
    const { code, stdout } = await stage.run(null, ['wal', 'inspect', '--dir', dir, '--json'])
    expect(code).toBe(Math.max(0, ...described.findings.map(({ kind }) => EXITS[kind] ?? 0)))
    const [picture] = jsonLines(stdout)
    const { findings, segments, streams, entries, holes, isClean } = described
    expect(picture).toMatchObject({
      isClosed: isClean,
      findings: findings.map(({ kind, fromByte, text }) => ({ kind, fromByte, text })),
      segments: segments.map(({ number, end, lastLsn }) => ({ number, end, lastLsn })),
      streams: streams.map(({ topic, partition, nextPosition }) => ({ topic, partition, nextPosition })),
      holes: holes.map(({ fromLsn }) => ({ fromLsn })),
      unsettledBatches: entries.length,
      unsettledRecords: entries.reduce((sum, { unsettled }) => sum + unsettled, 0),
    })
    expect(contentOf(dir)).toEqual(before)
  })

  it.each(names)('wal.md 5: verify finds in %s what inspect finds, and that its batches are none', async (name) => {
    const dir = newDirectory()
    cpSync(join(FOLDER, name), dir, { recursive: true })
    const described = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Described
    const { code, stdout } = await stage.run(null, ['wal', 'verify', '--dir', dir, '--json'])
    expect(code).toBe(2)
    const kinds = jsonLines(stdout).flatMap(({ finding }) => (finding as { kind: string } | undefined)?.kind ?? [])
    expect(kinds.filter((kind) => kind !== 'batch')).toEqual(described.findings.map(({ kind }) => kind))
    expect(kinds).toContain('batch')
  })
})
