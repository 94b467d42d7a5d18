/** Each row of the table of wal.md 2.8, by its name. */
import { describe, expect, it } from 'vitest'
import { FrameType } from '../../../lib/wal/format/constants.js'
import { encodeSegmentHeader } from '../../../lib/wal/format/segment-header.js'
import { type Finding, holeOf, type Survey, survey } from '../../../lib/wal/read/survey.js'
import type { LogDurability } from '../../../lib/wal/types.js'
import { BOOT, DIR, LogBuilder, WAL_ID, type Written } from '../support/build-log.js'

const OTHER_BOOT = 'boot-2'

function look(log: LogBuilder, bootId = OTHER_BOOT): Promise<Survey> {
  return survey(log.fs, DIR, { bootId, verifyBodies: true, indexMaxBytes: 64 << 20 })
}

function frameOf(log: LogBuilder, lsn: number): Written {
  return log.written.find((frame) => frame.lsn === lsn && frame.type !== FrameType.pad) as Written
}

/** Zeroes a frame, as a page does that was never written. */
function lose(log: LogBuilder, lsn: number): Written {
  const frame = frameOf(log, lsn)
  log.bytes(frame.segment).fill(0, frame.at, frame.end)
  return frame
}

/** One bit of the body. */
function rot(log: LogBuilder, lsn: number): Written {
  const frame = frameOf(log, lsn)
  const bytes = log.bytes(frame.segment)
  bytes[frame.at + 100] = (bytes[frame.at + 100] as number) ^ 4
  return frame
}

const kinds = (found: Survey) => found.findings.map(({ kind }) => kind)
const positions = (found: Survey, stream = 0) => found.tables.entriesOf(stream).map((entry) => entry.firstPosition)

/** OPEN is 1, STREAM 2, then batches 3..; nothing after OPEN is attested unless `sync` was called. */
function withBatches(count: number, durability: LogDurability = 'os', bootId = BOOT): LogBuilder {
  const log = new LogBuilder().begin(1).open(durability, bootId).stream(0).pad().sync()
  for (let index = 0; index < count; index++) log.batch(0)
  return log
}

describe('wal.md 2.8', () => {
  it.each([
    ['os', 'reordered', [1, 3]],
    ['immediate', 'discarded', [1]],
  ] as const)(
    'the segment of OPEN was recycled, power lost in %s: %s, the CHECKPOINT knows the mode',
    async (mode, kind, kept) => {
      const log = withBatches(1, mode).ack(0, 0, 0).pad().sync().roll(2, 2)
      log.fs.files.delete(log.path(1))
      log.batch(0).batch(0).batch(0)
      lose(log, log.lsn - 1)
      const found = await look(log)
      expect(kinds(found)).toEqual([kind])
      expect(found.lastOpen).toMatchObject({ incarnation: 1, durability: mode })
      expect(positions(found)).toEqual(kept)
    },
  )

  it('2.8: the frame that defines a stream is lost with the power: so are the records behind it, and nothing is corrupt', async () => {
    const log = withBatches(2).stream(1).batch(1, 3).batch(0)
    lose(log, log.lsn - 2)
    const found = await look(log)
    expect(kinds(found)).toEqual(['reordered'])
    expect(found.findings[0]?.ranges).toEqual([{ stream: 1, from: 0, to: 2 }])
    expect(positions(found)).toEqual([0, 1, 2])
  })

  it('nothing valid follows, last segment, nothing attests the bad LSN: torn tail', async () => {
    const log = withBatches(3)
    const { at } = rot(log, 5)
    const found = await look(log)
    expect(kinds(found)).toEqual(['torn'])
    expect(found.findings[0]).toMatchObject({ segment: 1, fromByte: at, toByte: at + 32 + 56 + 64 })
    expect(found.tornBytes).toBe(32 + 56 + 64)
    expect(positions(found)).toEqual([0, 1])
    expect(found.end).toMatchObject({ segment: 1, at: Math.ceil(at / 512) * 512, lastLsn: 4 })
    expect(found.isClean).toBe(false)
  })

  it('valid frame follows with exactly the expected LSN: gap left by an earlier torn tail, fine', async () => {
    const log = withBatches(3)
    rot(log, 5)
    const torn = await look(log)
    log.lsn = torn.lastLsn
    log.enter(1, torn.end?.at).open('os', OTHER_BOOT, 2)
    log.tables.streams.get(0)!.nextPosition = 2
    log.batch(0)
    const found = await look(log)
    expect(found.findings).toEqual([])
    expect(positions(found)).toEqual([0, 1, 2])
    expect(found.end).toMatchObject({ lastLsn: 6 })
    expect(found.lastOpen?.incarnation).toBe(2)
  })

  it.each(['os', 'immediate'] as const)('%s: LSN missing, a later frame attests it: corruption', async (durability) => {
    const log = withBatches(3, durability).pad().sync().batch(0)
    const { at, end } = lose(log, 4)
    const found = await look(log)
    expect(kinds(found)).toEqual(['corrupt'])
    expect(found.findings[0]).toMatchObject({
      segment: 1,
      fromLsn: 4,
      toLsn: 4,
      fromByte: at,
      toByte: end,
      ranges: [{ stream: 0, from: 1, to: 1 }],
    })
    expect(positions(found)).toEqual([0, 2, 3])
    expect(found.end).toMatchObject({ lastLsn: 6 })
    expect(holeOf(found.findings[0] as Finding)).toMatchObject({ fromLsn: 4, toLsn: 4, verdict: 'corrupt' })
  })

  it('body bad, a later frame attests it: corruption', async () => {
    const log = withBatches(3).pad().sync().batch(0)
    rot(log, 4)
    expect(kinds(await look(log, BOOT))).toEqual(['corrupt'])
  })

  it('LSN missing, CLOSE attests it: corruption', async () => {
    const log = withBatches(3).close()
    rot(log, 5)
    const found = await look(log)
    expect(kinds(found)).toEqual(['corrupt'])
  })

  it('tail missing, a header in it attests more than is there: corruption', async () => {
    const log = withBatches(3).pad().sync().batch(0)
    for (const lsn of [5, 6]) rot(log, lsn)
    const pad = log.written.find((frame) => frame.lsn === 5 && frame.type === FrameType.pad) as Written
    log.bytes(1).fill(0, pad.at, pad.end)
    const found = await look(log)
    expect(kinds(found)).toEqual(['corrupt'])
    expect(found.findings[0]).toMatchObject({ fromLsn: 5, toLsn: 5 })
    // The LSNs that were promised are never given away again.
    expect(found.end).toBeNull()
    expect(found.lastLsn).toBe(5)
  })

  it.each([OTHER_BOOT, ''])(
    'not attested, immediate, boot changed or unknown (%j): cut at the first hole',
    async (bootId) => {
      const log = withBatches(4, 'immediate')
      const { at } = lose(log, 4)
      const found = await look(log, bootId)
      expect(kinds(found)).toEqual(['discarded'])
      expect(found.findings[0]).toMatchObject({ fromLsn: 4, toLsn: 6, fromByte: at })
      expect(found.discardedUnaccepted).toBe(2)
      expect(positions(found)).toEqual([0])
      expect(found.end).toMatchObject({ segment: 1, at: Math.ceil(at / 512) * 512, lastLsn: 3 })
    },
  )

  it('what was cut off stays cut off when the log goes on at the same LSN', async () => {
    const log = withBatches(8, 'immediate')
    lose(log, 4)
    const cut = await look(log)
    log.lsn = cut.lastLsn
    log.lastBodyCrc = cut.lastBodyCrc
    log.enter(1, cut.end?.at).open('immediate', OTHER_BOOT, 2)
    log.tables.streams.get(0)!.nextPosition = 1
    log.batch(0, 2).pad()
    const found = await look(log)
    expect(found.findings).toEqual([])
    expect(found.tables.entriesOf(0).map(({ firstPosition, count }) => [firstPosition, count])).toEqual([
      [0, 1],
      [1, 2],
    ])
    expect(found.lastLsn).toBe(5)
  })

  it.each(['os', 'periodic', 'spill'] as const)(
    'not attested, %s, boot changed: reordered pages, valid frames are kept',
    async (durability) => {
      const log = withBatches(4, durability)
      lose(log, 4)
      const found = await look(log)
      expect(kinds(found)).toEqual(['reordered'])
      expect(found.findings[0]?.ranges).toEqual([{ stream: 0, from: 1, to: 1 }])
      expect(positions(found)).toEqual([0, 2, 3])
      expect(found.end).toMatchObject({ lastLsn: 6 })
    },
  )

  it.each(['os', 'immediate'] as const)('%s: not attested, same boot: corruption', async (durability) => {
    const log = withBatches(4, durability)
    lose(log, 4)
    const found = await look(log, BOOT)
    expect(kinds(found)).toEqual(['corrupt'])
    expect(positions(found)).toEqual([0, 2, 3])
  })

  it('a range that a HOLE frame covers is judged no more', async () => {
    const log = withBatches(4)
    lose(log, 4)
    const finding = (await look(log)).findings[0] as Finding
    const hole = holeOf(finding)
    if (hole === null) throw new Error('a loss has a HOLE')
    log.incarnation = 2
    log.hole(hole).open('os', OTHER_BOOT, 2)
    const found = await look(log)
    expect(kinds(found)).toEqual(['covered'])
    expect(found.holes).toEqual([hole])
    expect(found.tables.streams.get(0)).toMatchObject({ nextPosition: 4, settledThrough: 0 })
    expect(found.tables.unsettledRecords).toBe(3)
  })

  it('misnamed file: corruption', async () => {
    const log = withBatches(1)
    log.fs.files.set(`${DIR}/7.wal`, new Uint8Array(16_384))
    const found = await look(log)
    expect(found.findings).toMatchObject([{ kind: 'corrupt', file: '7.wal' }])
  })

  it('a segment under the name of another one: corruption', async () => {
    const log = withBatches(1).roll().roll(3)
    log.fs.files.set(log.path(2), log.bytes(3).slice())
    expect(kinds(await look(log))).toEqual(['corrupt'])
  })

  it('foreign walId: corruption', async () => {
    const log = withBatches(1).roll()
    log.batch(0).roll(3)
    const header = {
      major: 1,
      minor: 0,
      walId: Buffer.from(WAL_ID, 'hex').reverse(),
      segment: 2,
      salt: log.saltOf(2),
      segmentBytes: 16_384,
      sectorBytes: 512,
      incarnation: 1,
      createdAtMs: 1,
      features: 0,
    }
    encodeSegmentHeader(header, log.bytes(2))
    const found = await look(log)
    expect(found.findings.every(({ kind }) => kind === 'corrupt')).toBe(true)
    expect(found.findings.some(({ text }) => text.includes('belongs to the log 0f0e'))).toBe(true)
  })

  it('other chain CRC at the same LSN: corruption', async () => {
    const log = withBatches(1)
    log.lastBodyCrc ^= 1
    log.roll()
    const found = await look(log)
    expect(found.findings).toMatchObject([{ kind: 'corrupt', segment: 2 }])
    expect(found.findings[0]?.text).toContain('a segment was replaced')
  })

  it('bad CHECKPOINT of the oldest live segment: corruption, and what can be read is read', async () => {
    const log = withBatches(2).roll(2, 1)
    log.batch(0).roll(3, 2).batch(0).pad()
    const bytes = log.bytes(2)
    bytes[4096 + 40] = (bytes[4096 + 40] as number) ^ 1
    log.fs.files.delete(log.path(1))
    const found = await look(log)
    expect(kinds(found)).toEqual(['corrupt'])
    expect(found.findings[0]).toMatchObject({ segment: 2, fromByte: 4096 })
    expect(positions(found)).toEqual([2, 3])
  })

  it('bad CHECKPOINT with a valid frame behind it in the highest segment: corruption, never end of log', async () => {
    const log = withBatches(2).roll(2, 1)
    log.batch(0).pad()
    const bytes = log.bytes(2)
    bytes[4096 + 40] = (bytes[4096 + 40] as number) ^ 1
    const found = await look(log)
    expect(kinds(found)).toEqual(['corrupt'])
    expect(found.findings[0]).toMatchObject({ segment: 2 })
    expect(positions(found)).toEqual([0, 1, 2])
    expect(found.end).toBeNull()
  })

  it('read error: corruption, never end of log', async () => {
    const log = withBatches(3)
    const { at } = frameOf(log, 5)
    const from = Math.floor(at / 4096) * 4096
    log.fs.unreadable.push({ path: log.path(1), from: at, to: at + 10 })
    const found = await look(log)
    expect(kinds(found)).toContain('corrupt')
    expect(found.findings.find(({ text }) => text.includes('cannot be read'))).toMatchObject({
      fromByte: from,
      toByte: from + 4096,
    })
    expect(found.end).toBeNull()
  })

  it('bad CHECKPOINT of another segment: reported, its tables are rebuilt from the frames before it', async () => {
    const log = withBatches(2).roll(2, 1).batch(0).roll(3, 1).batch(0).pad()
    const bytes = log.bytes(2)
    bytes[4096 + 40] = (bytes[4096 + 40] as number) ^ 1
    const found = await look(log)
    expect(kinds(found)).toEqual(['badCheckpoint'])
    expect(positions(found)).toEqual([0, 1, 2, 3])
    expect(found.tables.unsettledRecords).toBe(4)
  })

  it('frames past the cut of a poisoned segment are ignored', async () => {
    const log = withBatches(2)
    const { lsn, lastBodyCrc } = log
    log.batch(0, 5).batch(0, 6)
    // The next segment's CHECKPOINT names the cut and says again what stood behind it.
    log.lsn = lsn
    log.lastBodyCrc = lastBodyCrc
    log.tables.streams.get(0)!.nextPosition = 2
    log.begin(2, 1)
    log.batch(0, 5).batch(0, 6).batch(0, 7)
    const found = await look(log)
    expect(found.findings).toEqual([])
    const entries = found.tables.entriesOf(0)
    expect(entries.map(({ firstPosition, count, segment }) => [firstPosition, count, segment])).toEqual([
      [0, 1, 1],
      [1, 1, 1],
      [2, 5, 2],
      [7, 6, 2],
      [13, 7, 2],
    ])
  })

  it('a torn end in a segment that is not the last: the LSNs decide', async () => {
    const log = withBatches(3)
    const lost = withBatches(3)
    log.roll(2, 1).batch(0)
    lost.roll(2, 1).batch(0)
    const bytes = lost.bytes(1)
    const { at } = frameOf(lost, 5)
    bytes.fill(0, at)
    expect((await look(log)).findings).toEqual([])
    // The CHECKPOINT of segment 2 names LSN 5 as the cut, and it attests it.
    expect(kinds(await look(lost))).toEqual(['corrupt'])
  })

  it('one bad copy of a segment header is reported, two are corruption', async () => {
    const log = withBatches(2).roll(2, 1).batch(0).roll(3, 1)
    log.bytes(2)[60] = 99
    expect(kinds(await look(log))).toEqual(['badHeaderCopy'])
    log.bytes(2)[2048 + 60] = 99
    const found = await look(log)
    expect(found.findings.every(({ kind }) => kind === 'corrupt')).toBe(true)
    expect(found.findings.find(({ fromLsn }) => fromLsn > 0)).toMatchObject({ fromLsn: 5, toLsn: 5 })
    expect(positions(found)).toEqual([0, 1])
  })
})
