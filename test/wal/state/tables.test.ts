/** What a log knows, against a list of positions; and that CHECKPOINT bodies say all of it. wal.md 2.5, 2.6, 5. */
import { describe, expect, it } from 'vitest'
import { decodeCheckpoint } from '../../../lib/wal/format/bodies/checkpoint.js'
import { Outcome, UNBOUND } from '../../../lib/wal/format/constants.js'
import { SettledRanges } from '../../../lib/wal/state/settled-ranges.js'
import { LogTables } from '../../../lib/wal/state/tables.js'
import type { Entry, StreamFacts } from '../../../lib/wal/types.js'

function randomOf(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

let nextLsn = 1

function entryOf(tables: LogTables, stream: number, count: number, more: Partial<Entry> = {}): Entry {
  const { part = 0, parts = 0, originLsn = 0 } = more
  return {
    lsn: nextLsn++,
    stream,
    firstPosition: tables.firstPositionOf(stream, part, parts, originLsn),
    count,
    maxTimestampMs: 5,
    producerId: UNBOUND,
    epoch: 0,
    baseSequence: 0,
    part,
    parts,
    originLsn,
    originIncarnation: 0,
    incarnation: 1,
    segment: 1,
    at: 4096,
    bodyBytes: 100,
    unsettled: count,
    ...more,
  }
}

function withStreams(count: number): LogTables {
  const tables = new LogTables()
  for (let id = 0; id < count; id++) tables.defineStream({ id, topic: `t${id}`, topicId: '', partition: id })
  return tables
}

describe('SettledRanges', () => {
  it('wal.md 2.5: any order of settlements, against a set of positions', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomOf(seed * 7919)
      const ranges = new SettledRanges()
      const settled = new Set<number>()
      for (let step = 0; step < 60; step++) {
        const from = random(100)
        const to = from + random(12)
        let fresh = 0
        for (let position = from; position <= to; position++)
          if (!settled.has(position)) fresh += Number(settled.add(position).size > 0)
        expect(ranges.add(from, to), `seed ${seed} step ${step}`).toBe(fresh)
        let through = 0
        while (settled.has(through)) through++
        expect(ranges.through).toBe(through)
        const low = random(110)
        const high = low + random(20)
        let open = 0
        for (let position = low; position <= high; position++) open += settled.has(position) ? 0 : 1
        expect(ranges.unsettledOf(low, high)).toBe(open)
        let last = ranges.through
        ranges.forEach((rangeFrom, rangeTo) => {
          expect(rangeFrom).toBeGreaterThan(last)
          expect(rangeTo).toBeGreaterThanOrEqual(rangeFrom)
          last = rangeTo + 1
        })
      }
    }
  })
})

describe('LogTables', () => {
  it('wal.md 5: live records per segment, entries in order, counts that add up, for any history', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomOf(seed * 104_729)
      const tables = withStreams(3)
      const all: Entry[] = []
      const settled = [0, 1, 2].map(() => new Set<number>())
      for (let step = 0; step < 150; step++) {
        const stream = random(3)
        const facts = tables.streams.get(stream)
        const next = facts?.nextPosition ?? 0
        if (random(3) > 0 || next === 0) {
          const entry = entryOf(tables, stream, 1 + random(5), { segment: 1 + Math.floor(step / 30) })
          tables.appended(entry)
          all.push(entry)
        } else if (random(6) === 0) {
          const entry = all[random(all.length)] as Entry
          tables.relocated(entry.lsn, 90, step)
        } else {
          const from = random(next)
          const to = Math.min(next - 1, from + random(9))
          let fresh = 0
          for (let position = from; position <= to; position++) {
            if (settled[stream]?.has(position)) continue
            settled[stream]?.add(position)
            fresh++
          }
          expect(tables.settled(stream, from, to, Outcome.delivered, -1)).toBe(fresh)
        }
      }
      const live = all.filter((entry) => openOf(entry, settled) > 0)
      const total = live.reduce((sum, entry) => sum + openOf(entry, settled), 0)
      expect(tables.unsettledRecords, `seed ${seed}`).toBe(total)
      expect(tables.entryCount).toBe(live.length)
      for (const stream of [0, 1, 2]) {
        expect(tables.entriesOf(stream)).toEqual(live.filter((entry) => entry.stream === stream))
      }
      for (const segment of [1, 2, 3, 4, 5, 90]) {
        const here = live.filter((entry) => entry.segment === segment)
        expect(tables.liveRecords(segment)).toBe(here.reduce((sum, entry) => sum + openOf(entry, settled), 0))
        expect(tables.liveBytes(segment)).toBe(here.length * 136)
      }
      const oldest = Math.min(...live.map(({ segment }) => segment), 77)
      expect(tables.oldestLiveSegment(77)).toBe(live.length === 0 ? 77 : oldest)
      expectSameAfterCheckpoint(tables, 200 + random(2000))
    }
  })

  it('wal.md 2.5: unknown positions are never settled', () => {
    const tables = withStreams(1)
    tables.appended(entryOf(tables, 0, 3))
    expect(() => tables.settled(0, 0, 3, Outcome.delivered, 0)).toThrow('only known positions')
    expect(() => tables.settled(9, 0, 0, Outcome.delivered, 0)).toThrow('defined before')
  })

  it('wal.md 2.5: the last BIND of an LSN wins; acknowledged identities and offsets are remembered', () => {
    const tables = withStreams(1)
    const entry = entryOf(tables, 0, 4)
    tables.appended(entry)
    tables.bound(entry.lsn, 5n, 1, 0x7fff_fffe)
    tables.bound(entry.lsn, 6n, 2, 0x7fff_fffe)
    tables.bound(9_999_999, 7n, 0, 0)
    expect(entry).toMatchObject({ producerId: 6n, epoch: 2, baseSequence: 0x7fff_fffe })
    tables.settled(0, 0, 3, Outcome.duplicate, 100)
    expect(tables.streams.get(0)).toMatchObject({
      lastAckedOffset: 103,
      settledThrough: 4,
      acked: [{ producerId: 6n, epoch: 2, lastAckedSequence: 1, maxTimestampMs: 5 }],
    })
  })

  it('wal.md 2.6: all parts present: the original is superseded; fewer: the parts are void', () => {
    const tables = withStreams(1)
    const before = entryOf(tables, 0, 2)
    const whole = entryOf({ firstPositionOf: () => 2 } as unknown as LogTables, 0, 6)
    tables.appended(before)
    tables.appended(whole)
    const one = entryOf(tables, 0, 4, { part: 0, parts: 2, originLsn: whole.lsn })
    tables.appended(one)
    expect(tables.entriesOf(0)).toEqual([before, whole])
    expect(tables.unsettledRecords).toBe(8)
    const two = entryOf(tables, 0, 2, { part: 1, parts: 2, originLsn: whole.lsn, segment: 3 })
    expect(two.firstPosition).toBe(6)
    tables.appended(two)
    expect(tables.entriesOf(0)).toEqual([before, one, two])
    expect(tables.entry(whole.lsn)).toBeUndefined()
    expect(tables.unsettledRecords).toBe(8)
    expect(tables.liveRecords(3)).toBe(2)
    expect(tables.streams.get(0)?.nextPosition).toBe(8)
    const again = entryOf(tables, 0, 1, { part: 0, parts: 2, originLsn: two.lsn })
    tables.appended(again)
    expect(tables.dropVoidParts()).toBe(1)
    expect(tables.entriesOf(0)).toEqual([before, one, two])
  })

  it('wal.md 2.5: a RELOC of an entry whose segment is gone, some of it settled before', () => {
    const tables = withStreams(1)
    tables.advance(0, 10)
    tables.settled(0, 0, 1, Outcome.delivered, -1)
    tables.settled(0, 4, 5, Outcome.delivered, -1)
    const entry = { ...entryOf(tables, 0, 5), firstPosition: 3, segment: 8 }
    tables.adopted(entry)
    expect(entry.unsettled).toBe(3)
    expect(tables.liveRecords(8)).toBe(3)
    tables.adopted({ ...entry, segment: 9, at: 5000, producerId: 4n })
    expect(tables.entriesOf(0)).toEqual([{ ...entry, segment: 9, at: 5000, producerId: 4n }])
    expect(tables.entryAt(0, 3)?.lsn).toBe(entry.lsn)
    expect(tables.entryAt(0, 2)).toBeUndefined()
  })

  it('wal.md 2.5: identities and incarnations that nothing refers to are forgotten, the others never', () => {
    const tables = withStreams(1)
    tables.opened(1, 'aaaaaaaaaaaaaaaa')
    tables.defineIdentity(1n, 0, 'c')
    tables.appended(entryOf(tables, 0, 1, { producerId: 1n, incarnation: 1 }))
    for (let number = 2; number < 100; number++) {
      tables.opened(number, number.toString(16).padStart(16, '0'))
      tables.defineIdentity(BigInt(number), 0, 'c')
    }
    tables.checkpoint(1, 2, 3, 4096)
    expect(tables.identities.length).toBeLessThan(20)
    expect(tables.incarnations.size).toBeLessThan(20)
    expect(tables.identities[0]?.producerId).toBe(1n)
    expect([...tables.incarnations.keys()].filter((number) => number === 1 || number === 99)).toEqual([1, 99])
  })

  it('wal.md 2.5: of a settled range that reaches beyond the positions of a CHECKPOINT, the known part counts', () => {
    const tables = new LogTables()
    tables.defineStream({ id: 0, topic: 't', topicId: '', partition: 0 })
    tables.appended(entryOf(tables, 0, 6))
    const facts = tables.streams.get(0) as StreamFacts
    tables.outcomes({ streams: [], settled: [{ stream: 0, from: 4, to: 9 }] })
    expect(tables.unsettledRecords).toBe(4)
    tables.outcomes({ streams: [{ ...facts, nextPosition: 20, settledThrough: 2 }], settled: [] })
    expect(tables.unsettledRecords).toBe(2)
    expect(tables.streams.get(0)).toMatchObject({ nextPosition: 6, settledThrough: 2 })
    tables.appended(entryOf(tables, 0, 4))
    expect(tables.unsettledRecords).toBe(6)
  })

  it('wal.md 4.1: streams by topic id; an unknown id stands for any', () => {
    const tables = new LogTables()
    tables.defineStream({ id: 4, topic: 't', topicId: 'a', partition: 0 })
    tables.defineStream({ id: 5, topic: 't', topicId: 'b', partition: 0 })
    expect(tables.streamOf('t', 'a', 0)?.id).toBe(4)
    expect(tables.streamOf('t', '', 0)?.id).toBe(5)
    expect(tables.streamOf('t', 'c', 0)).toBeUndefined()
    expect(tables.nextStreamId()).toBe(6)
  })
})

function openOf(entry: Entry, settled: readonly Set<number>[]): number {
  let open = 0
  for (let index = 0; index < entry.count; index++) {
    open += settled[entry.stream]?.has(entry.firstPosition + index) ? 0 : 1
  }
  return open
}

/** Tables made from nothing but the CHECKPOINT, and the entries adopted into them, are the same ones. */
function expectSameAfterCheckpoint(tables: LogTables, maxPartBytes: number): void {
  const copy = new LogTables()
  const bodies = tables.checkpoint(7, 8, 9, maxPartBytes)
  for (const [index, body] of bodies.entries()) {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
    const decoded = decodeCheckpoint(body, view, 0, body.length)
    expect(decoded).toMatchObject({
      part: index,
      parts: bodies.length,
      previousLastLsn: 7,
      previousLastBodyCrc: 8,
      oldestLiveSegment: 9,
    })
    if (body.length > maxPartBytes) expect(decoded.streams.length + decoded.settled.length).toBeLessThanOrEqual(1)
    copy.merge(decoded)
  }
  for (const id of tables.streams.keys()) for (const entry of tables.entriesOf(id)) copy.adopted({ ...entry })
  expect(copy.unsettledRecords).toBe(tables.unsettledRecords)
  for (const [id, { nextPosition, settledThrough }] of tables.streams) {
    expect(copy.streams.get(id)).toMatchObject({ nextPosition, settledThrough })
    expect(copy.entriesOf(id)).toEqual(tables.entriesOf(id))
  }
}
