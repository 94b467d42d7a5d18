/** The gateway's benchmark finds what it looks for: whatever the cuts, and whatever is lost, doubled or out of order. GW-1. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  FrameCutter,
  LEAST_VALUE_BYTES,
  makeValue,
  NumberCheck,
  writeNumber,
} from '../../bench/harness/gateway-check.js'
import { quantile, type StageResult, sharesOf } from '../../bench/harness/gateway-run.js'
import { behind, isRight, stageTable } from '../../bench/harness/gateway-table.js'
import { encodeText } from '../../lib/net/websocket/frame-encoder.js'

type Wire = 'websocket' | 'tcp'

function frameOf(wire: Wire, payload: string): Buffer {
  if (wire === 'websocket') return encodeText(payload)
  const bytes = Buffer.from(payload)
  const size = Buffer.alloc(4)
  size.writeUInt32BE(bytes.length)
  return Buffer.concat([size, bytes])
}

function recordOf(partition: number, number: number, { valueBytes = 60, tail = '', us = 123 } = {}): string {
  const value = makeValue(valueBytes)
  writeNumber(value, partition, number, us)
  return `{"type":"record","partition":${partition},"value":"${value.toString('latin1')}"${tail}}`
}

function checkOf(payloads: readonly string[], partitions = 2) {
  const check = new NumberCheck(partitions, 60)
  const others: string[] = []
  for (const payload of payloads) {
    const bytes = Buffer.from(payload)
    if (!check.take(bytes, 0, bytes.length)) others.push(payload)
  }
  return { check, others }
}

describe('features 8, gateway: what a subscriber checks', () => {
  it.each(['websocket', 'tcp'] as const)('GW-1: %s frames are the same whatever the cuts', (wire) => {
    const payloads = [
      '{"type":"welcome"}',
      recordOf(0, 0),
      recordOf(1, 0, { tail: ',"headers":[["a","b"]]' }),
      'x'.repeat(70_000),
    ]
    const bytes = Buffer.concat(payloads.map((payload) => frameOf(wire, payload)))
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 8 }), (cuts) => {
        const seen: string[] = []
        const cutter = new FrameCutter(wire, (from, start, end) => seen.push(from.toString('latin1', start, end)))
        const shared = Buffer.alloc(bytes.length) // used again for each chunk, as the subscribers do
        let at = 0
        for (const cut of [...cuts.sort((one, other) => one - other), bytes.length]) {
          const length = bytes.copy(shared, 0, at, cut)
          cutter.push(shared.subarray(0, length))
          shared.fill(0)
          at = cut
        }
        expect(seen).toEqual(payloads)
      }),
      { seed: 20_261_122, numRuns: 200 },
    )
  })

  it('GW-1: counts each partition by itself, and tells when a record was published', () => {
    const { check, others } = checkOf([recordOf(0, 0), recordOf(1, 0), recordOf(0, 1, { us: 1_234_567_890_123_456 })])
    expect(check).toMatchObject({ delivered: 3, lost: 0, again: 0, next: [2, 1], publishedUs: 1_234_567_890_123_456 })
    expect(others).toEqual([])
    expect(check.missing([2, 1])).toBe(0)
    expect(check.missing([4, 2])).toBe(3)
  })

  it('GW-1: a number that is passed over is lost, one that comes again or late is told', () => {
    const { check } = checkOf([0, 1, 1, 4, 3, 5].map((number) => recordOf(0, number)))
    expect(check).toMatchObject({ delivered: 4, lost: 2, again: 2, next: [6, 0] })
  })

  it('GW-1: a value may stand anywhere in its frame, and elsewhere in the next', () => {
    const { check, others } = checkOf([recordOf(0, 0), recordOf(0, 1, { tail: ',"headers":[]' }), recordOf(0, 2)])
    expect(check).toMatchObject({ delivered: 3, lost: 0, again: 0 })
    expect(others).toEqual([])
  })

  it('GW-1: what holds no whole value is not taken for one', () => {
    const wrong = [
      '{"type":"gap"}',
      recordOf(2, 0), // no such partition
      recordOf(0, 0, { valueBytes: LEAST_VALUE_BYTES }), // too short for what was agreed
      recordOf(0, 0).replace('0000000000', '00000000x0'),
    ]
    const { check, others } = checkOf(wrong)
    expect(others).toEqual(wrong)
    expect(check.delivered).toBe(0)
  })
})

const STAGE: StageResult = {
  perSecond: 10,
  milliseconds: 1000,
  published: 10,
  delivered: 1000,
  deliveredPerSecond: 1000,
  lost: 0,
  again: 0,
  dropped: 0,
  p50Ms: 2,
  p99Ms: 9,
  drainMs: 3,
  publishLateMs: 0,
  cpuUsPerDelivery: 1.5,
  cpuShare: 0.2,
  clientsCpuShare: 0.9,
  rssMib: 90,
  peakRssMib: 100,
  troubles: [],
}

describe('features 8, gateway: what a stage says', () => {
  it.each([{ lost: 1 }, { again: 1 }, { dropped: 1 }, { troubles: ['a connection ended'] }])(
    'GW-1: %j is wrong',
    (change) => {
      expect(isRight(STAGE)).toBe(true)
      expect(isRight({ ...STAGE, ...change })).toBe(false)
    },
  )

  it('GW-1: late records, and a publisher that is late, are a rate that was not carried', () => {
    expect(behind(STAGE)).toBeNull()
    expect(behind({ ...STAGE, drainMs: 1001 })).toContain('1001 ms after')
    expect(behind({ ...STAGE, p99Ms: 1500 })).toContain('p99')
    expect(behind({ ...STAGE, publishLateMs: 101 })).toContain('publisher')
  })

  it('GW-1: the table has a cell for each head', () => {
    const lines = stageTable([STAGE]).split('\n')
    expect(lines).toHaveLength(3)
    expect(new Set(lines.map((line) => line.split('|').length)).size).toBe(1)
  })

  it('GW-1: clients are shared out without remainder, quantiles are values that were measured', () => {
    expect(sharesOf(1001, 2)).toEqual([500, 501])
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2)
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4)
    expect(quantile([], 0.5)).toBeNaN()
  })
})
