/** What a reader says about good logs. wal.md 4.1, steps 1 to 3. */
import { describe, expect, it } from 'vitest'
import { Outcome } from '../../../lib/wal/format/constants.js'
import { survey } from '../../../lib/wal/read/survey.js'
import type { StreamFacts } from '../../../lib/wal/types.js'
import { BOOT, DIR, LogBuilder } from '../support/build-log.js'

const OPTIONS = { bootId: BOOT, verifyBodies: true, indexMaxBytes: 64 << 20 }

describe('survey of a log without damage', () => {
  it('wal.md 4.1: an empty log has an end right behind its OPEN', async () => {
    const log = LogBuilder.opened()
    const found = await survey(log.fs, DIR, OPTIONS)
    expect(found.findings).toEqual([])
    expect(found.end).toEqual({ segment: 1, at: log.at, lastLsn: 1, lastBodyCrc: log.lastBodyCrc, attestedLsn: 0 })
    expect(found.highestIncarnation).toBe(1)
    expect(found.lastOpen?.bootId).toBe(BOOT)
    expect(log.fs.openCount).toBe(0)
  })

  it('wal.md 4.1: entries, bindings and acknowledgements over several segments', async () => {
    const log = LogBuilder.opened().stream(0).stream(1).identity(7n)
    for (let index = 0; index < 20; index++) log.batch(index % 2, 3, 100, 7n)
    log.ack(0, 0, 5).pad().sync().roll().batch(1, 2).bind(log.lsn, 8n, 0).ack(1, 3, 5).pad().roll(3)
    log.batch(0, 4).pad()
    const found = await survey(log.fs, DIR, OPTIONS)
    expect(found.findings).toEqual([])
    expect(found.tables.unsettledRecords).toBe(log.tables.unsettledRecords)
    for (const id of [0, 1]) expect(found.tables.entriesOf(id)).toEqual(log.tables.entriesOf(id))
    expect(
      [...found.tables.streams.values()].map(({ nextPosition, settledThrough, lastAckedOffset, acked }) => ({
        nextPosition,
        settledThrough,
        lastAckedOffset,
        acked,
      })),
    ).toEqual(
      [...log.tables.streams.values()].map(({ nextPosition, settledThrough, lastAckedOffset, acked }) => ({
        nextPosition,
        settledThrough,
        lastAckedOffset,
        acked,
      })),
    )
    expect(found.end).toEqual({
      segment: 3,
      at: log.at,
      lastLsn: log.lsn,
      lastBodyCrc: log.lastBodyCrc,
      attestedLsn: log.durableLsn,
    })
    expect(found.segments.map(({ number, isLeftover, isSpareLike }) => ({ number, isLeftover, isSpareLike }))).toEqual(
      [1, 2, 3].map((number) => ({ number, isLeftover: false, isSpareLike: false })),
    )
  })

  it('wal.md 4.3: what only a CHECKPOINT calls settled is known wherever reading begins', async () => {
    const log = LogBuilder.opened().stream(0).identity(7n)
    log.batch(0, 3, 64, 7n).batch(0, 2, 64, 7n).batch(0, 2, 64, 7n).pad()
    // Settled when the CHECKPOINT was made; the crash came before any ACK frame.
    log.tables.settled(0, 0, 1, Outcome.delivered, 100)
    log.tables.settled(0, 3, 4, Outcome.delivered, 103)
    log.roll()
    const before = log.tables.entriesOf(0).map((entry) => ({ ...entry }))
    const known = await survey(log.fs, DIR, OPTIONS)
    expect(known.findings).toEqual([])
    expect(known.tables.entriesOf(0)).toEqual(before)
    expect(known.tables.entriesOf(0).map(({ unsettled }) => unsettled)).toEqual([1, 2])
    expect(known.tables.unsettledRecords).toBe(3)
    const { settledThrough, lastAckedOffset, acked } = log.tables.streams.get(0) as StreamFacts
    expect(known.tables.streams.get(0)).toMatchObject({ settledThrough, lastAckedOffset, acked })
    // The next life frees the first segment.
    log.open('os', BOOT, 2).checkpoint(2).pad()
    const later = await survey(log.fs, DIR, OPTIONS)
    expect(later.segments.map(({ isLeftover }) => isLeftover)).toEqual([true, false])
    for (const position of [0, 1, 2, 3, 4, 5, 6]) {
      expect(later.tables.unsettledRanges(0, position, position)).toEqual(
        known.tables.unsettledRanges(0, position, position),
      )
    }
  })

  it('P-58, wal.md 4.1.3: more unsettled entries than the limit of the index: a clear refusal, and settled ones do not count', async () => {
    const log = LogBuilder.opened().stream(0)
    for (let index = 0; index < 10; index++) log.batch(0)
    const limited = (entries: number) => survey(log.fs, DIR, { ...OPTIONS, indexMaxBytes: entries * 64 })
    await expect(limited(9)).rejects.toThrow('raise it')
    expect((await limited(10)).tables.entryCount).toBe(10)
    log.ack(0, 0, 8)
    for (let index = 0; index < 9; index++) log.batch(0)
    expect((await limited(10)).tables.entryCount).toBe(10)
    expect(log.fs.openCount).toBe(0)
  })

  it('wal.md 4.1.3: a log larger than the window, frames larger than the window', async () => {
    const log = LogBuilder.opened('os', { segmentBytes: 32 << 20 }).stream(0)
    for (let index = 0; index < 3; index++) log.batch(0, 10, 7 << 20).batch(0, 1, 100_000)
    log
      .pad()
      .roll(2, 1)
      .batch(0, 10, 5 << 20)
      .ack(0, 0, 9)
      .pad()
    const found = await survey(log.fs, DIR, OPTIONS)
    expect(found.findings).toEqual([])
    expect(found.tables.entriesOf(0)).toEqual(log.tables.entriesOf(0))
    const large = found.tables.entriesOf(0).find(({ count, segment }) => count === 10 && segment === 2)
    const bytes = log.bytes(2)
    bytes[(large?.at ?? 0) + (4 << 20)] = 1
    bytes[(large?.at ?? 0) + (4 << 20) + 1] = 1
    expect((await survey(log.fs, DIR, OPTIONS)).findings.map(({ kind }) => kind)).toEqual(['corrupt'])
  })

  it('wal.md 4.1.3: CLOSE as last frame: bodies are believed, unless asked for', async () => {
    const log = LogBuilder.opened('os', { segmentBytes: 8 << 20 }).stream(0)
    for (let index = 0; index < 20; index++) log.batch(0, 1, 200_000)
    const hurt = log.written.at(-1)?.at ?? 0
    log.pad().roll(2, 1).batch(0).close()
    log.bytes(1)[hurt + 1000] = (log.bytes(1)[hurt + 1000] as number) ^ 1
    expect((await survey(log.fs, DIR, { ...OPTIONS, verifyBodies: false })).findings).toEqual([])
    expect((await survey(log.fs, DIR, OPTIONS)).findings.map(({ kind }) => kind)).toEqual(['corrupt'])
  })

  it('wal.md 4.3: a log that was closed: one segment is read twice, and none that its last CHECKPOINT does not need', async () => {
    const segmentBytes = 8 << 20
    const log = LogBuilder.opened('os', { segmentBytes }).stream(0)
    for (let index = 0; index < 4; index++) log.batch(0, 1, 1 << 20)
    log.pad().roll(2, 1).batch(0).pad()
    const closed = { ...OPTIONS, verifyBodies: false }
    const one = LogBuilder.opened('os', { segmentBytes }).stream(0)
    for (let index = 0; index < 4; index++) one.batch(0, 1, 1 << 20)
    one.pad().roll(2, 1).batch(0).ack(0, 0, 3).checkpoint(2).pad().close()
    const found = await survey(one.fs, DIR, closed)
    expect(found.findings).toEqual([])
    expect(found.segments.map(({ isLeftover }) => isLeftover)).toEqual([true, false])
    // The heads of both, segment 2 to find out that it was closed, segment 2 again.
    expect(found.scannedBytes).toBeLessThan(2 * segmentBytes + 65_536)
    log.close()
    const whole = await survey(log.fs, DIR, closed)
    expect(whole.tables.unsettledRecords).toBe(5)
    expect(whole.scannedBytes).toBeLessThan(3 * segmentBytes + 65_536)
  })
})
