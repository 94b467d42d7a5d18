/** What a reader says about good logs. wal.md 4.1, steps 1 to 3. */
import { describe, expect, it } from 'vitest'
import { survey } from '../../../lib/wal/read/survey.js'
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
})
