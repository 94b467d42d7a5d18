/** The oldest segment of a log lost its frames: what that cost is told by the CHECKPOINT behind it. wal.md 2.8, 4.1. */
import { describe, expect, it } from 'vitest'
import { type Finding, holeOf, type Survey, survey } from '../../../lib/wal/read/survey.js'
import { SimDisk } from '../../support/wal-sim/index.js'
import { upTo, World } from '../open/support/world.js'
import { BOOT, DIR, LogBuilder } from '../support/build-log.js'

function look(log: LogBuilder): Promise<Survey> {
  return survey(log.fs, DIR, { bootId: BOOT, verifyBodies: true, indexMaxBytes: 64 << 20 })
}

/** Segment 1: positions 0..5 of stream 0, of which 0, 1 and 4 are settled, and 0..2 of stream 1, all settled. */
function withTwoSegments(): LogBuilder {
  const log = LogBuilder.opened('os').stream(0).stream(1).batch(0, 2).batch(0, 4).batch(1, 3)
  log.ack(0, 0, 1).ack(1, 0, 2).ack(0, 4, 4).pad().sync().roll(2, 1)
  return log.batch(0, 1).pad().sync()
}

describe('wal.md 2.8: bad CHECKPOINT of the oldest live segment', () => {
  it('none of its frames is there: LSNs and unsettled positions are lost, and counted', async () => {
    const log = withTwoSegments()
    const last = log.written.findLast(({ segment, lsn }) => segment === 1 && lsn > 0)?.lsn ?? 0
    log.activate(1)
    const found = await look(log)
    expect(found.findings).toHaveLength(1)
    const [finding] = found.findings as [Finding]
    expect(finding).toMatchObject({ kind: 'corrupt', segment: 1, fromLsn: 1, toLsn: last })
    expect(finding.ranges).toEqual([
      { stream: 0, from: 2, to: 3 },
      { stream: 0, from: 5, to: 5 },
    ])
    expect(finding.text).toContain(`LSNs 1..${last} are lost: stream 0 positions 2..3, stream 0 positions 5..5`)
    expect(found.tables.entriesOf(0).map(({ firstPosition }) => firstPosition)).toEqual([6])

    const hole = holeOf(finding)
    if (hole === null) throw new Error('no loss')
    log.hole(hole).pad().sync()
    const again = await look(log)
    expect(again.findings.map(({ kind }) => kind)).toEqual(['covered'])
    expect(again.tables.streams.get(0)).toMatchObject({ nextPosition: 7, settledThrough: 6 })
  })

  it('its header is gone too: the same', async () => {
    const log = withTwoSegments()
    log.bytes(1).fill(0)
    const { findings } = await look(log)
    expect(findings).toMatchObject([
      {
        kind: 'corrupt',
        fromLsn: 1,
        ranges: [
          { from: 2, to: 3 },
          { from: 5, to: 5 },
        ],
      },
    ])
  })

  it('older segments were recycled: where its LSNs began is not known', async () => {
    const log = withTwoSegments().roll(3, 2).batch(0, 2).pad().sync()
    log.fs.files.delete(log.path(1))
    log.activate(2)
    const { findings } = await look(log)
    expect(findings).toMatchObject([{ kind: 'corrupt', segment: 2, fromLsn: 0, toLsn: 10 }])
    expect(findings[0]?.text).toContain('LSNs up to 10')
    expect(findings[0]?.ranges).toEqual([
      { stream: 0, from: 2, to: 3 },
      { stream: 0, from: 5, to: 6 },
    ])
  })

  it('only its CHECKPOINT is gone: what its frames say counts, positions before them were settled before', async () => {
    const log = withTwoSegments().ack(0, 2, 3).ack(0, 5, 5).pad().roll(3, 2).batch(0, 2).pad().sync()
    log.fs.files.delete(log.path(1))
    const first = log.written.find(({ segment }) => segment === 2)
    log.bytes(2).fill(0, first?.at, first?.end)
    const { findings, tables } = await look(log)
    expect(findings).toMatchObject([{ kind: 'corrupt', segment: 2, fromLsn: 0, toLsn: -1, ranges: [] }])
    expect(tables.entriesOf(0).map(({ firstPosition }) => firstPosition)).toEqual([6, 7])
    expect(tables.streams.get(0)).toMatchObject({ nextPosition: 9, settledThrough: 6 })
  })
})

describe('wal.md 2.8: a loss has an outcome', () => {
  it('a log opened with quarantine counts it, and settledThrough moves on at once', async () => {
    const first = World.onNewDisk({ durability: 'immediate' })
    const log = await first.open()
    await first.append(log, 60)
    first.disk.die()
    const image = first.disk.image()
    const second = new World(SimDisk.fromImage(image), { ...first.options, onCorruption: 'quarantine' })
    const [oldest] = second.segments()
    const path = `${first.options.dir}/${oldest}`
    second.disk.names.get(path)?.write(new Uint8Array(first.options.segmentBytes - 4096), 4096)
    const found = await second.open()
    const lost = found.recovered.holes.flatMap(({ ranges }) => ranges)
    expect(lost).toHaveLength(1)
    expect(lost[0]).toMatchObject({ from: 0 })
    const count = (lost[0]?.to ?? -1) + 1
    expect(count).toBeGreaterThan(1)
    expect(found.measures().holeRecords).toBe(count)
    expect(found.stream(lost[0]?.stream ?? 0)?.settledThrough).toBe(count)
    expect(await second.items(found)).toEqual(upTo(60).slice(count))
  })
})
