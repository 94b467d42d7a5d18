/** One replica's log: reading, cutting at both ends, epochs, snapshots; and a property over random operations. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PartitionLog } from '../../lib/broker/partition-log.js'
import type { StoredBatch } from '../../lib/broker/stored-batch.js'

function stored(baseOffset: number, count = 1, over: Partial<StoredBatch> = {}): StoredBatch {
  return {
    bytes: new Uint8Array(10 * count).fill(baseOffset),
    baseOffset,
    lastOffset: baseOffset + count - 1,
    leaderEpoch: 0,
    attributes: 0,
    baseTimestamp: 0,
    maxTimestamp: baseOffset,
    count,
    producerId: -1n,
    producerEpoch: -1,
    baseSequence: -1,
    appendedAtMs: 0,
    ...over,
  }
}

function logOf(...counts: number[]): PartitionLog {
  const log = new PartitionLog()
  for (const count of counts) log.append(stored(log.logEnd, count))
  return log
}

const starts = (log: PartitionLog) => log.batches().map(({ baseOffset }) => baseOffset)

describe('partition log', () => {
  it('reads from the batch that holds an offset, up to a mark, cut at the limit', () => {
    const log = logOf(2, 1, 3)
    const lengths = (...args: Parameters<PartitionLog['read']>) => log.read(...args).map(({ length }) => length)
    expect(lengths(1, 6, 1000, true)).toEqual([20, 10, 30])
    expect(lengths(2, 3, 1000, true)).toEqual([10])
    expect(lengths(0, 6, 5, true)).toEqual([20])
    expect(lengths(0, 6, 5, false)).toEqual([5])
    expect(lengths(0, 6, 25, true)).toEqual([20, 5])
    expect(lengths(0, 6, 0, false)).toEqual([])
    expect(lengths(6, 6, 1000, true)).toEqual([])
  })

  it('the log start may lie inside a batch, which stays', () => {
    const log = logOf(2, 3)
    log.advanceStart(3)
    expect(starts(log)).toEqual([2])
    expect([log.logStart, log.logEnd, log.bytes]).toEqual([3, 5, 30])
    log.advanceStart(99)
    expect([log.logStart, log.logEnd, log.bytes]).toEqual([5, 5, 0])
  })

  it('retention by size keeps the last batch and never passes the limit offset', () => {
    const log = logOf(1, 1, 1, 1)
    log.trimTo(25, 4)
    expect(starts(log)).toEqual([2, 3])
    log.trimTo(0, 4)
    expect(starts(log)).toEqual([3])
    const held = logOf(1, 1, 1)
    held.trimTo(0, 1)
    expect(starts(held)).toEqual([1, 2])
  })

  it('KIP-101: ends of epochs', () => {
    const log = new PartitionLog()
    log.noteEpoch(2, 0)
    log.append(stored(0, 2, { leaderEpoch: 2 }))
    log.append(stored(2, 1, { leaderEpoch: 5 }))
    expect(log.endOfEpoch(1)).toEqual({ leaderEpoch: 1, endOffset: 0 })
    expect(log.endOfEpoch(2)).toEqual({ leaderEpoch: 2, endOffset: 2 })
    expect(log.endOfEpoch(4)).toEqual({ leaderEpoch: 2, endOffset: 2 })
    expect(log.endOfEpoch(5)).toEqual({ leaderEpoch: 5, endOffset: 3 })
    expect(log.endOfEpoch(6)).toEqual({ leaderEpoch: -1, endOffset: -1 })
  })

  it('B-12: truncation rebuilds from the log, up to 5; reload keeps the last one', () => {
    const log = new PartitionLog()
    for (let sequence = 0; sequence < 7; sequence++) {
      log.append(stored(sequence, 1, { producerId: 3n, producerEpoch: 0, baseSequence: sequence }))
    }
    log.truncateTo(6)
    const [entry] = log.producers.entries()
    expect(entry?.batches.map(({ lastSequence }) => lastSequence)).toEqual([1, 2, 3, 4, 5])
    log.reload(0, 1000)
    expect(log.producers.entries()[0]?.batches.map(({ lastSequence }) => lastSequence)).toEqual([5])
    log.reload(5000, 1000)
    expect(log.producers.size).toBe(0)
  })

  it('property: marks and bytes are those of a plain list, whatever is cut where', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), value: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('start' as const), value: fc.integer({ min: 0, max: 40 }) }),
      fc.record({ kind: fc.constant('truncate' as const), value: fc.integer({ min: 0, max: 40 }) }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const log = new PartitionLog()
        let plain: { from: number; to: number }[] = []
        let start = 0
        let end = 0
        for (const { kind, value } of operations) {
          if (kind === 'append') {
            log.append(stored(end, value))
            plain.push({ from: end, to: end + value - 1 })
            end += value
          } else if (kind === 'start') {
            log.advanceStart(value)
            start = Math.max(start, Math.min(value, end))
            plain = plain.filter(({ to }) => to >= start)
          } else if (value < end) {
            log.truncateTo(value)
            plain = plain.filter(({ to }) => to < value)
            end = plain.at(-1) === undefined ? Math.min(start, value) : (plain.at(-1)?.to ?? 0) + 1
            start = Math.min(start, end)
          }
          expect(starts(log)).toEqual(plain.map(({ from }) => from))
          expect([log.logStart, log.logEnd]).toEqual([start, end])
          expect(log.bytes).toBe(plain.reduce((sum, { from, to }) => sum + 10 * (to - from + 1), 0))
        }
      }),
    )
  })
})
