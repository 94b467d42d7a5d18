/**
 * A header whose body is torn says how long the frame would have been. The next opening writes into that length, so a
 * reader that believed it would step over what counts.
 * Source: wal.md 2.8, 4.1 steps 2 and 3.
 */
import { describe, expect, it } from 'vitest'
import { BATCH_PREFIX_BYTES, FrameType } from '../../../lib/wal/format/constants.js'
import { survey } from '../../../lib/wal/read/survey.js'
import { BOOT, DIR, LogBuilder } from '../support/build-log.js'

const OPTIONS = { bootId: BOOT, verifyBodies: true, indexMaxBytes: 64 << 20 }
const TORN_BYTES = 4000

/** Segment 2 with a torn frame at its end, and a second opening that went on in the sector behind its header. */
function reopenedBehindTear(segmentBytes: number): LogBuilder {
  const log = LogBuilder.opened('os', { segmentBytes }).stream(0)
  log.batch(0).pad().roll(2, 1)
  const { lsn, at, lastBodyCrc } = log
  log.frame(FrameType.batch, new Uint8Array(BATCH_PREFIX_BYTES + TORN_BYTES).fill(1))
  const sectorEnd = at + log.manifest.sectorBytes
  log.bytes(2).fill(0, sectorEnd)
  // What was torn never was.
  Object.assign(log, { lsn, lastBodyCrc })
  log.enter(2, sectorEnd)
  return log.open('os', BOOT, 2)
}

describe('frames written over the length of a torn one', () => {
  it('wal.md 4.1.2: a CHECKPOINT there says which segments are needed: those that it freed are not missing', async () => {
    const log = reopenedBehindTear(16_384)
    log.ack(0, 0, 0).pad().sync().checkpoint(2).pad().sync().close()
    log.fs.files.delete(log.path(1))
    for (const verifyBodies of [true, false]) {
      const found = await survey(log.fs, DIR, { ...OPTIONS, verifyBodies })
      expect(found.findings.filter(({ kind }) => kind !== 'torn')).toEqual([])
      expect(found.highestIncarnation).toBe(2)
    }
  })

  it('wal.md 4.1.3: CLOSE vouches for the bodies of its own incarnation, not for torn ones of an earlier one', async () => {
    const log = reopenedBehindTear(8 << 20)
    log.batch(0).pad().close()
    const found = await survey(log.fs, DIR, { ...OPTIONS, verifyBodies: false })
    expect(found.findings.filter(({ kind }) => kind !== 'torn')).toEqual([])
    expect(found.tables.entriesOf(0).map(({ firstPosition, bodyBytes }) => [firstPosition, bodyBytes])).toEqual([
      [0, 120],
      [1, 120],
    ])
    expect(found.lastOpen?.incarnation).toBe(2)
  })
})
