/**
 * Writes logs frame by frame, good and bad ones, with nothing but the format: readers are tested against this, so that
 * a mistake of the writer cannot hide one of the reader.
 */
import { encodeAck } from '../../../lib/wal/format/bodies/ack.js'
import { encodeBatchPrefix } from '../../../lib/wal/format/bodies/batch-prefix.js'
import { encodeBind } from '../../../lib/wal/format/bodies/bind.js'
import { encodeHole, holeBytes } from '../../../lib/wal/format/bodies/hole.js'
import { encodeOpen, type OpenBody, openBytes } from '../../../lib/wal/format/bodies/open.js'
import {
  CLOSE_BYTES,
  encodeClose,
  encodeIdentity,
  encodeRoll,
  encodeStream,
  identityBytes,
  ROLL_BYTES,
  streamBytes,
} from '../../../lib/wal/format/bodies/small.js'
import {
  ACK_BYTES,
  BATCH_PREFIX_BYTES,
  BIND_BYTES,
  FORMAT_MAJOR,
  FORMAT_MINOR,
  FRAME_HEADER_BYTES,
  FrameType,
  Outcome,
  SEGMENT_HEADER_BYTES,
  UNBOUND,
} from '../../../lib/wal/format/constants.js'
import { frameBytes, saltCrcOf, sealFrame } from '../../../lib/wal/format/frame.js'
import { encodeManifest, type Manifest, segmentName } from '../../../lib/wal/format/manifest.js'
import { encodeSegmentHeader } from '../../../lib/wal/format/segment-header.js'
import { LogTables } from '../../../lib/wal/state/tables.js'
import type { HoleFacts, LogDurability } from '../../../lib/wal/types.js'
import { MemoryFs } from './memory-fs.js'

export const DIR = '/log'
export const WAL_ID = '000102030405060708090a0b0c0d0e0f'
export const BOOT = 'boot-1'

export interface Written {
  readonly segment: number
  readonly at: number
  readonly end: number
  readonly type: number
  readonly lsn: number
}

export interface BuiltBatch {
  readonly lsn: number
  readonly stream: number
  readonly firstPosition: number
  readonly count: number
}

export interface BuildOptions {
  readonly segmentBytes?: number
  readonly sectorBytes?: number
  readonly salt?: number
}

export class LogBuilder {
  readonly fs: MemoryFs
  readonly manifest: Manifest
  readonly tables = new LogTables()
  readonly written: Written[] = []
  readonly batches: BuiltBatch[] = []
  segment = 0
  at = 0
  lsn = 0
  lastBodyCrc = 0
  incarnation = 1
  /** The highest LSN that a finished sync covers. */
  durableLsn = 0
  #file = new Uint8Array(0)
  #view = new DataView(this.#file.buffer)
  #saltCrc = 0
  readonly #saltSeed: number

  constructor({ segmentBytes = 16_384, sectorBytes = 512, salt = 7 }: BuildOptions = {}, fs = new MemoryFs()) {
    this.fs = fs
    this.#saltSeed = salt
    this.manifest = {
      format: 'tandem-mq-wal',
      major: FORMAT_MAJOR,
      minor: FORMAT_MINOR,
      walId: WAL_ID,
      owner: 'producer',
      segmentBytes,
      sectorBytes,
      lock: 'flock',
      createdAtMs: 1_700_000_000_000,
    }
    fs.files.set(`${DIR}/MANIFEST`, encodeManifest(this.manifest))
  }

  /** A log as `open()` leaves it: segment 1, CHECKPOINT, OPEN; everything synced. */
  static opened(durability: LogDurability = 'os', options: BuildOptions = {}): LogBuilder {
    return new LogBuilder(options).begin(1).open(durability)
  }

  path(segment = this.segment): string {
    return `${DIR}/${segmentName(segment)}`
  }

  bytes(segment = this.segment): Uint8Array {
    return this.fs.file(this.path(segment))
  }

  saltOf(segment: number): Uint8Array {
    return Uint8Array.from({ length: 8 }, (_, index) => (segment * 31 + index * 17 + this.#saltSeed) & 255)
  }

  /** A file with a header and no frame, as activation makes it. */
  activate(segment: number): this {
    const { segmentBytes, sectorBytes } = this.manifest
    const file = new Uint8Array(segmentBytes)
    encodeSegmentHeader(
      {
        major: FORMAT_MAJOR,
        minor: FORMAT_MINOR,
        walId: Buffer.from(WAL_ID, 'hex'),
        segment,
        salt: this.saltOf(segment),
        segmentBytes,
        sectorBytes,
        incarnation: this.incarnation,
        createdAtMs: 1_700_000_000_000,
        features: 0,
      },
      file,
    )
    this.fs.files.set(this.path(segment), file)
    return this
  }

  /** Goes on in a segment that exists. */
  enter(segment: number, at: number = SEGMENT_HEADER_BYTES): this {
    this.segment = segment
    this.#file = this.bytes(segment) as Uint8Array<ArrayBuffer>
    this.#view = new DataView(this.#file.buffer, this.#file.byteOffset, this.#file.byteLength)
    this.#saltCrc = saltCrcOf(this.saltOf(segment))
    this.at = at
    return this
  }

  /** A new segment with its CHECKPOINT, which is synced. */
  begin(segment: number, oldestLive = segment, maxPartBytes = 4096): this {
    this.activate(segment).enter(segment)
    this.checkpoint(oldestLive, maxPartBytes)
    return this.pad().sync()
  }

  checkpoint(oldestLive: number, maxPartBytes = 4096): this {
    const bodies = this.tables.checkpoint(this.lsn, this.lastBodyCrc, oldestLive, maxPartBytes)
    for (const body of bodies) this.frame(FrameType.checkpoint, body)
    return this
  }

  roll(to = this.segment + 1, oldestLive = 1): this {
    return this.body(FrameType.roll, ROLL_BYTES, (into, view) => encodeRoll(into, view, 0, to)).begin(to, oldestLive)
  }

  open(durability: LogDurability = 'os', bootId = BOOT, incarnation = this.incarnation): this {
    this.incarnation = incarnation
    const open: OpenBody = {
      incarnation,
      incarnationId: incarnation.toString(16).padStart(16, '0'),
      previousLsn: this.lsn,
      tornBytes: 0,
      openedAtMs: 1_700_000_000_000,
      pid: 42,
      durability,
      bootId,
      host: 'host',
      version: '1.0.0',
    }
    this.body(FrameType.open, openBytes(open), (into, view) => encodeOpen(into, view, 0, open))
    this.tables.opened(incarnation, open.incarnationId, open)
    return this.pad().sync()
  }

  stream(id: number, topic = `topic-${id}`, partition = id): this {
    const stream = { id, topic, topicId: '', partition }
    this.tables.defineStream(stream)
    return this.body(FrameType.stream, streamBytes(stream), (into, view) => encodeStream(into, view, 0, stream))
  }

  identity(producerId: bigint, epoch = 0, clusterId = 'cluster'): this {
    const identity = { producerId, epoch, clusterId }
    this.tables.defineIdentity(producerId, epoch, clusterId)
    return this.body(FrameType.identity, identityBytes(identity), (into, view) =>
      encodeIdentity(into, view, 0, identity),
    )
  }

  /** `count` records of `bytes` payload that says which they are. */
  batch(stream: number, count = 1, bytes = 64, producerId = UNBOUND, type: number = FrameType.batch): this {
    const firstPosition = this.tables.streams.get(stream)?.nextPosition ?? 0
    const prefix = {
      stream,
      count,
      firstPosition,
      maxTimestampMs: 1_700_000_000_000 + firstPosition,
      producerId,
      epoch: 0,
      part: 0,
      parts: 0,
      baseSequence: producerId === UNBOUND ? -1 : firstPosition,
      originLsn: 0,
      originIncarnation: 0,
    }
    const bodyBytes = BATCH_PREFIX_BYTES + bytes
    const { segment, at } = this
    this.body(type, bodyBytes, (into, view) => {
      encodeBatchPrefix(into, view, 0, prefix)
      for (let index = BATCH_PREFIX_BYTES; index < into.length; index++) {
        into[index] = (firstPosition * 7 + stream * 13 + index) & 255
      }
    })
    this.batches.push({ lsn: this.lsn, stream, firstPosition, count })
    this.tables.appended({
      ...prefix,
      lsn: this.lsn,
      incarnation: this.incarnation,
      segment,
      at,
      bodyBytes,
      unsettled: count,
    })
    return this
  }

  ack(stream: number, from: number, to: number, outcome: Outcome = Outcome.delivered, baseOffset = from): this {
    this.tables.settled(stream, from, to, outcome, baseOffset)
    return this.body(FrameType.ack, ACK_BYTES, (into, view) =>
      encodeAck(into, view, 0, stream, outcome, from, to, baseOffset),
    )
  }

  bind(lsn: number, producerId: bigint, baseSequence: number, epoch = 0): this {
    this.tables.bound(lsn, producerId, epoch, baseSequence)
    return this.body(FrameType.bind, BIND_BYTES, (into, view) =>
      encodeBind(into, view, 0, lsn, producerId, epoch, baseSequence),
    )
  }

  hole(hole: HoleFacts): this {
    this.tables.hole(hole)
    return this.body(FrameType.hole, holeBytes(hole), (into, view) => encodeHole(into, view, 0, hole))
  }

  close(): this {
    const close = { lastLsn: this.lsn, unsettledRecords: this.tables.unsettledRecords }
    this.sync()
    return this.body(FrameType.close, CLOSE_BYTES, (into, view) => encodeClose(into, view, 0, close))
      .pad()
      .sync()
  }

  /** Fills to the end of the sector, as before every sync. */
  pad(): this {
    const { sectorBytes } = this.manifest
    let end = Math.ceil(this.at / sectorBytes) * sectorBytes
    if (end === this.at) return this
    if (end - this.at < FRAME_HEADER_BYTES) end += sectorBytes
    return this.frame(FrameType.pad, new Uint8Array(end - this.at - FRAME_HEADER_BYTES))
  }

  sync(): this {
    this.durableLsn = this.lsn
    return this
  }

  body(type: number, length: number, fill: (into: Uint8Array, view: DataView) => void): this {
    const body = new Uint8Array(length)
    fill(body, new DataView(body.buffer))
    return this.frame(type, body)
  }

  frame(type: number, body: Uint8Array, flags = 0): this {
    const isRepeat = type === FrameType.checkpoint || type === FrameType.pad || type === FrameType.roll
    if (!isRepeat) this.lsn++
    if (this.at + frameBytes(body.length) > this.manifest.segmentBytes) {
      throw new Error(`no room for ${body.length} B at ${this.at}: call roll()`)
    }
    this.#file.set(body, this.at + FRAME_HEADER_BYTES)
    const at = this.at
    const lag = this.lsn - this.durableLsn
    const end = sealFrame(
      this.#file,
      this.#view,
      at,
      body.length,
      type,
      flags,
      this.lsn,
      lag,
      this.incarnation,
      this.#saltCrc,
    )
    if (!isRepeat) this.lastBodyCrc = this.#view.getUint32(at, true)
    this.written.push({ segment: this.segment, at, end, type, lsn: this.lsn })
    this.at = end
    return this
  }
}
