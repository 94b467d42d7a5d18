/** Bodies: every field of every frame type comes back; what is cut or impossible is refused. wal.md 2.5. */
import { describe, expect, it } from 'vitest'
import { decodeAcks, encodeAck } from '../../../lib/wal/format/bodies/ack.js'
import { decodeBatchPrefix, encodeBatchPrefix } from '../../../lib/wal/format/bodies/batch-prefix.js'
import { decodeBinds, encodeBind } from '../../../lib/wal/format/bodies/bind.js'
import {
  checkpointBytes,
  decodeCheckpoint,
  decodeCheckpointHead,
  encodeCheckpoint,
} from '../../../lib/wal/format/bodies/checkpoint.js'
import { decodeHole, encodeHole, holeBytes } from '../../../lib/wal/format/bodies/hole.js'
import { decodeOpen, encodeOpen, openBytes } from '../../../lib/wal/format/bodies/open.js'
import {
  CLOSE_BYTES,
  decodeClose,
  decodeIdentity,
  decodeRoll,
  decodeStream,
  encodeClose,
  encodeIdentity,
  encodeRoll,
  encodeStream,
  identityBytes,
  ROLL_BYTES,
  streamBytes,
} from '../../../lib/wal/format/bodies/small.js'
import { ACK_BYTES, BATCH_PREFIX_BYTES, BIND_BYTES, Outcome } from '../../../lib/wal/format/constants.js'
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  segmentName,
  segmentNumberOf,
  spareIndexOf,
  spareName,
} from '../../../lib/wal/format/manifest.js'

type Encode = (into: Uint8Array, view: DataView, at: number) => number
type Decode = (bytes: Uint8Array, view: DataView, at: number, length: number) => unknown

const AT = 24
const PREFIX = {
  stream: 0xffff_fffe,
  count: 3,
  firstPosition: 2 ** 50,
  maxTimestampMs: -5,
  producerId: -(2n ** 62n),
  epoch: -2,
  part: 1,
  parts: 255,
  baseSequence: -2_000_000_000,
  originLsn: 2 ** 51,
  originIncarnation: 0xffff_ffff,
}
const OPEN = {
  incarnation: 7,
  incarnationId: '00ff10203040506f',
  previousLsn: 2 ** 44,
  tornBytes: 99,
  openedAtMs: 1_700_000_000_001,
  pid: 4_000_000_000,
  durability: 'immediate' as const,
  bootId: 'böot',
  host: 'host-ü',
  version: '1.2.3',
}
const HOLE = {
  fromLsn: 5,
  toLsn: 2 ** 45,
  segment: 9,
  fromByte: 4096,
  toByte: 2 ** 34,
  verdict: 'reordered' as const,
  ranges: [
    { stream: 1, from: 2, to: 3 },
    { stream: 0xffff_ffff, from: 0, to: 2 ** 52 },
  ],
}
const CHECKPOINT = {
  part: 1,
  parts: 3,
  previousLastLsn: 2 ** 43,
  previousLastBodyCrc: 0xffff_fffd,
  oldestLiveSegment: 12,
  clusterId: 'c-é',
  identities: [
    { producerId: 9n, epoch: 1, clusterId: '' },
    { producerId: 2n ** 60n, epoch: 32_767, clusterId: 'x' },
  ],
  incarnations: [
    { incarnation: 3, id: '0123456789abcdef' },
    { incarnation: 4, id: '0123456789abcdee', mayHaveLostPower: true },
  ],
  streams: [
    {
      id: 4,
      topic: 't',
      topicId: 'id',
      partition: -1,
      nextPosition: 10,
      settledThrough: 4,
      lastAckedOffset: -1,
      acked: [{ producerId: 9n, epoch: 1, lastAckedSequence: 0x7fff_ffff, maxTimestampMs: -1 }],
    },
    {
      id: 5,
      topic: '',
      topicId: '',
      partition: 0,
      nextPosition: 0,
      settledThrough: 0,
      lastAckedOffset: 2 ** 50,
      acked: [],
    },
  ],
  settled: [{ stream: 4, from: 6, to: 7 }],
  lastOpen: OPEN,
}

const CASES: readonly (readonly [string, number, Encode, Decode, unknown])[] = [
  [
    'BATCH prefix',
    BATCH_PREFIX_BYTES,
    (into, view, at) => encodeBatchPrefix(into, view, at, PREFIX),
    decodeBatchPrefix,
    PREFIX,
  ],
  [
    'ACK',
    ACK_BYTES * 2,
    (into, view, at) =>
      encodeAck(
        into,
        view,
        encodeAck(into, view, at, 8, Outcome.lost, 0, 2 ** 52, -1),
        1,
        Outcome.duplicate,
        5,
        5,
        2 ** 51,
      ),
    decodeAcks,
    [
      { stream: 8, outcome: Outcome.lost, from: 0, to: 2 ** 52, baseOffset: -1 },
      { stream: 1, outcome: Outcome.duplicate, from: 5, to: 5, baseOffset: 2 ** 51 },
    ],
  ],
  [
    'BIND',
    BIND_BYTES,
    (into, view, at) => encodeBind(into, view, at, 2 ** 50, 2n ** 61n, -3, 0x7fff_ffff),
    decodeBinds,
    [{ lsn: 2 ** 50, producerId: 2n ** 61n, epoch: -3, baseSequence: 0x7fff_ffff }],
  ],
  ['OPEN', openBytes(OPEN), (into, view, at) => encodeOpen(into, view, at, OPEN), decodeOpen, OPEN],
  ['HOLE', holeBytes(HOLE), (into, view, at) => encodeHole(into, view, at, HOLE), decodeHole, HOLE],
  [
    'CHECKPOINT',
    checkpointBytes(CHECKPOINT),
    (into, view, at) => encodeCheckpoint(into, view, at, CHECKPOINT),
    decodeCheckpoint,
    CHECKPOINT,
  ],
  [
    'STREAM',
    streamBytes({ id: 1, topic: 'tö', topicId: 'i', partition: 7 }),
    (into, view, at) => encodeStream(into, view, at, { id: 1, topic: 'tö', topicId: 'i', partition: 7 }),
    decodeStream,
    { id: 1, topic: 'tö', topicId: 'i', partition: 7 },
  ],
  [
    'IDENTITY',
    identityBytes({ producerId: 5n, epoch: 2, clusterId: 'cl' }),
    (into, view, at) => encodeIdentity(into, view, at, { producerId: 5n, epoch: 2, clusterId: 'cl' }),
    decodeIdentity,
    { producerId: 5n, epoch: 2, clusterId: 'cl' },
  ],
  ['ROLL', ROLL_BYTES, (into, view, at) => encodeRoll(into, view, at, 2 ** 40), decodeRoll, 2 ** 40],
  [
    'CLOSE',
    CLOSE_BYTES,
    (into, view, at) => encodeClose(into, view, at, { lastLsn: 2 ** 41, unsettledRecords: 3 }),
    decodeClose,
    { lastLsn: 2 ** 41, unsettledRecords: 3 },
  ],
]

describe.each(CASES)('%s', (name, length, encode, decode, expected) => {
  const bytes = new Uint8Array(AT + length + 40)
  const view = new DataView(bytes.buffer)
  const end = encode(bytes, view, AT)

  it('wal.md 2.5: every field comes back, and the length is known before', () => {
    expect(end).toBe(AT + length)
    const decoded = decode(bytes, view, AT, length)
    if (Array.isArray(expected)) expect(decoded).toMatchObject(expected)
    else if (typeof expected === 'object') expect(decoded).toMatchObject(expected as object)
    else expect(decoded).toBe(expected)
  })

  it('wal.md 2.9: what a later minor appends is ignored', () => {
    const isRow = name === 'ACK' || name === 'BIND'
    if (isRow) expect(() => decode(bytes, view, AT, length + 1)).toThrow('malformed')
    else expect(decode(bytes, view, AT, length + 8)).toEqual(decode(bytes, view, AT, length))
  })

  it('wal.md 2.5: cut anywhere: refused', () => {
    for (let cut = 0; cut < length; cut++) {
      if ((name === 'ACK' && cut % ACK_BYTES === 0) || (name === 'BIND' && cut === 0)) continue
      expect(() => decode(bytes, view, AT, cut), `${cut} of ${length}`).toThrow()
    }
  })
})

describe('what no writer writes', () => {
  const bytes = new Uint8Array(256)
  const view = new DataView(bytes.buffer)

  it('wal.md 2.5: batches of no records, parts that do not exist', () => {
    for (const wrong of [{ count: 0 }, { part: 2, parts: 2 }, { part: 1, parts: 0 }]) {
      encodeBatchPrefix(bytes, view, 0, { ...PREFIX, ...wrong })
      expect(() => decodeBatchPrefix(bytes, view, 0, 56)).toThrow('malformed')
    }
  })

  it('wal.md 2.5: outcomes, ranges, modes and verdicts that do not exist', () => {
    encodeAck(bytes, view, 0, 0, 5 as Outcome, 0, 0, 0)
    expect(() => decodeAcks(bytes, view, 0, 32)).toThrow('malformed')
    encodeAck(bytes, view, 0, 0, 0, 5, 4, 0)
    expect(() => decodeAcks(bytes, view, 0, 32)).toThrow('malformed')
    encodeBind(bytes, view, 0, 0, 1n, 0, 0)
    expect(() => decodeBinds(bytes, view, 0, 24)).toThrow('malformed')
    encodeHole(bytes, view, 0, { ...HOLE, ranges: [{ stream: 0, from: 4, to: 3 }] })
    expect(() => decodeHole(bytes, view, 0, 72)).toThrow('ends before it begins')
    bytes[40] = 3
    expect(() => decodeHole(bytes, view, 0, 72)).toThrow('verdict')
    encodeOpen(bytes, view, 0, OPEN)
    bytes[40] = 4
    expect(() => decodeOpen(bytes, view, 0, openBytes(OPEN))).toThrow('mode')
  })

  it('wal.md 2.5: a checkpoint that counts more than it holds, or is settled beyond its end', () => {
    const large = new Uint8Array(checkpointBytes(CHECKPOINT))
    const into = new DataView(large.buffer)
    encodeCheckpoint(large, into, 0, CHECKPOINT)
    into.setUint32(24 + 2 + 4, 0xffff_ffff, true)
    expect(() => decodeCheckpoint(large, into, 0, large.length)).toThrow('count')
    const stream = { ...(CHECKPOINT.streams[0] as (typeof CHECKPOINT.streams)[number]), settledThrough: 11 }
    const body = { ...CHECKPOINT, streams: [stream] }
    encodeCheckpoint(large, into, 0, body)
    expect(() => decodeCheckpoint(large, into, 0, checkpointBytes(body))).toThrow('settled beyond')
    encodeCheckpoint(large, into, 0, { ...CHECKPOINT, part: 3 })
    expect(() => decodeCheckpointHead(large, into, 0, 24)).toThrow('part 3 of 3')
  })

  it('wal.md 2.5: names longer than 65,535 B', () => {
    const stream = { id: 0, topic: 'x'.repeat(65_536), topicId: '', partition: 0 }
    const room = new Uint8Array(70_000)
    expect(() => encodeStream(room, new DataView(room.buffer), 0, stream)).toThrow('65536 B')
  })
})

describe('MANIFEST and names', () => {
  const manifest: Manifest = {
    format: 'tandem-mq-wal',
    major: 1,
    minor: 4,
    walId: 'ab'.repeat(16),
    owner: 'queue',
    segmentBytes: 1 << 20,
    sectorBytes: 4096,
    lock: 'pidfile',
    createdAtMs: 5,
  }

  it('wal.md 2.1: every field comes back; a line, a newline, 8 hex digits', () => {
    const bytes = encodeManifest(manifest)
    expect(decodeManifest(bytes)).toEqual(manifest)
    expect(Buffer.from(bytes).toString()).toMatch(/^\{"format":"tandem-mq-wal".*\}\n[0-9a-f]{8}$/)
  })

  it('wal.md 2.1: names of segments and spares', () => {
    expect(segmentName(1)).toBe('0000000000000001.wal')
    expect(segmentNumberOf(segmentName(2 ** 50 + 3))).toBe(2 ** 50 + 3)
    for (const name of [
      '0000000000000000.wal',
      '1.wal',
      '000000000000000G.wal',
      '0000000000000001.tmp',
      'ffffffffffffffff.wal',
      '000000000000000A.wal',
    ]) {
      expect(segmentNumberOf(name)).toBeNull()
    }
    expect(spareIndexOf(spareName(12))).toBe(12)
    for (const name of ['spare-.seg', 'spare-01.seg', 'spare-1', 'spare--1.seg']) expect(spareIndexOf(name)).toBeNull()
  })
})
