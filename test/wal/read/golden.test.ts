/** Suite J of wal.md 6.2: directories of every release, later versions, and files that are gone. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FrameType } from '../../../lib/wal/format/constants.js'
import { decodeManifest, encodeManifest, type Manifest } from '../../../lib/wal/format/manifest.js'
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from '../../../lib/wal/format/segment-header.js'
import { readFrames } from '../../../lib/wal/read/frames.js'
import { type Survey, survey } from '../../../lib/wal/read/survey.js'
import { describeGolden } from '../../fixtures/wal/describe.js'
import { goldenDirectories, VERSION } from '../../fixtures/wal/golden.js'
import { BOOT, DIR, LogBuilder } from '../support/build-log.js'

const FIXTURES = fileURLToPath(new URL('../../fixtures/wal', import.meta.url))
const NAMES = ['clean', 'crashed', 'crashed-immediate', 'recovered']
/** By the writer itself. */
const WRITTEN = ['written-clean', 'written-crashed']

function look(log: LogBuilder): Promise<Survey> {
  return survey(log.fs, DIR, { bootId: BOOT, verifyBodies: true, indexMaxBytes: 64 << 20 })
}

function filesOf(name: string): Map<string, Uint8Array> {
  const folder = join(FIXTURES, VERSION, name)
  return new Map(readdirSync(folder).map((file) => [file, readFileSync(join(folder, file))]))
}

function withHeader(log: LogBuilder, segment: number, change: Partial<SegmentHeader>): void {
  const { header } = decodeSegmentHeader(log.bytes(segment)) ?? {}
  if (header === undefined) throw new Error('no header')
  encodeSegmentHeader({ ...header, ...change }, log.bytes(segment))
}

const reason = (log: LogBuilder) =>
  look(log).then(
    () => 'read',
    (error: { context: { reason: string } }) => error.context.reason,
  )

const threeSegments = () =>
  LogBuilder.opened().stream(0).batch(0).pad().sync().roll(2, 1).batch(0).pad().sync().roll(3, 1).batch(0)

describe('suite J', () => {
  it.each([...NAMES, ...WRITTEN])('wal.md 2.9: golden directory of 1.0, %s: read as it was meant', async (name) => {
    const expected: unknown = JSON.parse(readFileSync(join(FIXTURES, VERSION, `${name}.json`), 'utf8'))
    expect(JSON.parse(JSON.stringify(await describeGolden(filesOf(name))))).toEqual(expected)
  })

  it.each(NAMES)('wal.md 2.9: golden directory of 1.0, %s: this build writes the same bytes', (name) => {
    const made = goldenDirectories().get(name)
    const stored = filesOf(name)
    expect([...(made?.keys() ?? [])].sort()).toEqual([...stored.keys()].sort())
    for (const [file, bytes] of made ?? []) expect(Buffer.compare(bytes, stored.get(file) as Uint8Array), file).toBe(0)
  })

  it.each(WRITTEN)(
    'wal.md 2.9: golden directory of 1.0, %s: nothing to complain about, every segment whole',
    async (name) => {
      const log = new LogBuilder()
      log.fs.files.clear()
      for (const [file, bytes] of filesOf(name)) log.fs.files.set(`${DIR}/${file}`, bytes)
      const found = await look(log)
      expect(found.findings).toEqual([])
      expect(found.isClean).toBe(name === 'written-clean')
      expect(found.tables.unsettledRecords).toBeGreaterThan(0)
      expect(found.segments.length).toBeGreaterThan(1)
      expect(found.segments[0]?.number, 'segments were recycled').toBeGreaterThan(1)
      for (const { number, isSpareLike } of found.segments) {
        if (isSpareLike) continue
        const { skipped, unreadable } = await readFrames(log.fs, DIR, number, () => {})
        expect({ skipped, unreadable }).toEqual({ skipped: [], unreadable: [] })
      }
    },
  )

  it('wal.md 2.9: a later major in MANIFEST or in a segment: WAL_VERSION', async () => {
    const log = threeSegments()
    log.fs.files.set(`${DIR}/MANIFEST`, encodeManifest({ ...log.manifest, major: 2 }))
    expect(await reason(log)).toBe('WAL_VERSION')
    for (const segment of [1, 2, 3]) {
      const other = threeSegments()
      withHeader(other, segment, { major: 2 })
      expect(await reason(other)).toBe('WAL_VERSION')
    }
  })

  it('wal.md 2.3: unknown feature flags: WAL_VERSION', async () => {
    const log = threeSegments()
    withHeader(log, 2, { features: 1 })
    expect(await reason(log)).toBe('WAL_VERSION')
  })

  it('wal.md 2.9: a later minor is readable: longer bodies, frames of types from 128', async () => {
    const log = threeSegments()
    log.fs.files.set(`${DIR}/MANIFEST`, encodeManifest({ ...log.manifest, minor: 7 }))
    withHeader(log, 3, { minor: 7 })
    log.frame(128, Uint8Array.of(1)).frame(255, new Uint8Array(0))
    const body = new Uint8Array(40)
    new DataView(body.buffer).setUint32(0, 9, true)
    log.frame(FrameType.stream, body).batch(0)
    const found = await look(log)
    expect(found.findings.map(({ kind }) => kind)).toEqual(['unknownOptional', 'unknownOptional'])
    expect(found.tables.entryCount).toBe(4)
    expect(found.tables.streams.get(9)).toMatchObject({ topic: '' })
  })

  it.each([13, 50, 127])('wal.md 2.5: frame type %d must be understood: WAL_VERSION', async (type) => {
    expect(await reason(threeSegments().frame(type, new Uint8Array(8)))).toBe('WAL_VERSION')
  })

  it.each([0x10, 0x80])('wal.md 2.4: flag %d must be understood: WAL_VERSION', async (flag) => {
    expect(await reason(threeSegments().frame(FrameType.pad, new Uint8Array(8), flag))).toBe('WAL_VERSION')
  })

  it('wal.md 2.1: MANIFEST gone: WAL_MANIFEST_MISSING; damaged: WAL_CORRUPT', async () => {
    const log = threeSegments()
    const manifest = log.fs.file(`${DIR}/MANIFEST`)
    for (let at = 0; at < manifest.length; at++) {
      const changed = manifest.slice()
      changed[at] = (changed[at] as number) ^ 1
      log.fs.files.set(`${DIR}/MANIFEST`, changed)
      expect(await reason(log)).toBe('WAL_CORRUPT')
    }
    log.fs.files.delete(`${DIR}/MANIFEST`)
    expect(await reason(log)).toBe('WAL_MANIFEST_MISSING')
  })

  it.each(['format', 'walId', 'owner', 'segmentBytes', 'sectorBytes', 'lock', 'createdAtMs', 'minor'] as const)(
    'wal.md 2.1: MANIFEST without a good %s: WAL_CORRUPT',
    (field) => {
      const log = threeSegments()
      const bytes = encodeManifest({ ...log.manifest, [field]: 'no' } as unknown as Manifest)
      expect(() => decodeManifest(bytes)).toThrow(
        expect.objectContaining({ context: expect.objectContaining({ reason: 'WAL_CORRUPT' }) }),
      )
    },
  )

  it.each([
    ['first', [1], 'LSNs 1..3'],
    ['middle', [2], 'LSNs 4..4'],
    ['all', [1, 2, 3], 'all of the log'],
  ] as const)('wal.md 4.1.2: segment deleted, %s: WAL_SEGMENT_MISSING with its LSNs', async (_name, gone, lsns) => {
    const log = threeSegments()
    for (const segment of gone) log.fs.files.delete(log.path(segment))
    await expect(look(log)).rejects.toThrow(lsns)
    expect(await reason(log)).toBe('WAL_SEGMENT_MISSING')
  })

  it('wal.md 4.1.2: the last segment deleted: a ROLL names it', async () => {
    const log = threeSegments()
    log.fs.files.delete(log.path(3))
    await expect(look(log)).rejects.toThrow('segment 3 is missing')
  })

  it('wal.md 4.1.2: segments below the oldest live one are leftovers, there or not', async () => {
    const log = LogBuilder.opened().stream(0).batch(0).ack(0, 0, 0).pad().sync().roll(2, 2).batch(0).roll(3, 2)
    const found = await look(log)
    expect(found.findings).toEqual([])
    expect(found.segments.map(({ isLeftover }) => isLeftover)).toEqual([true, false, false])
    log.fs.files.delete(log.path(1))
    expect((await look(log)).tables.entryCount).toBe(1)
    // A CHECKPOINT in the middle of the last segment frees the next one too.
    log.ack(0, 1, 1).checkpoint(3)
    expect((await look(log)).segments.map(({ isLeftover }) => isLeftover)).toEqual([true, false])
    log.fs.files.delete(log.path(2))
    expect((await look(log)).findings).toEqual([])
  })

  it('wal.md 4.1.2: an activated segment without a frame holds no data', async () => {
    const log = threeSegments().activate(4)
    const found = await look(log)
    expect(found.segments.map(({ isSpareLike }) => isSpareLike)).toEqual([false, false, false, true])
    expect(found.end?.segment).toBe(3)
    expect(found.findings).toEqual([])
  })

  it('wal.md 5: every good frame of a segment, and what lies between', async () => {
    const log = threeSegments().batch(0).batch(0)
    const written = log.written.filter(({ segment }) => segment === 3)
    const hurt = written[2]
    if (hurt === undefined) throw new Error('no frame')
    log.bytes(3)[hurt.at + 40] = 99
    const seen: number[] = []
    const { skipped, end } = await readFrames(log.fs, DIR, 3, ({ at }) => seen.push(at))
    expect(seen).toEqual(written.filter((frame) => frame !== hurt).map(({ at }) => at))
    expect(skipped).toEqual([{ from: hurt.at, to: hurt.end }])
    expect(end).toBe(log.at)
    await expect(readFrames(log.fs, DIR, 9, () => {})).rejects.toThrow('ENOENT')
  })
})
