/**
 * What the frames of a log say, applied to its tables one after the other. Hot path of recovery.
 * Invariant: only frames whose CRCs are good come here, in LSN order. What does not fit is never guessed at: it is
 * noted (`doubts`), and no record comes out of it.
 * Source: wal.md 2.5, 4.1.3.
 */
import { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { Ack, readAck } from '../format/bodies/ack.js'
import { BatchPrefix, readBatchPrefix } from '../format/bodies/batch-prefix.js'
import { Bind, readBind } from '../format/bodies/bind.js'
import { type CheckpointBody, decodeCheckpoint, decodeCheckpointHead } from '../format/bodies/checkpoint.js'
import { decodeHole } from '../format/bodies/hole.js'
import { decodeOpen } from '../format/bodies/open.js'
import { decodeIdentity, decodeRoll, decodeStream } from '../format/bodies/small.js'
import {
  ACK_BYTES,
  BIND_BYTES,
  FIRST_OPTIONAL_TYPE,
  FRAME_HEADER_BYTES,
  FrameType,
  SEGMENT_HEADER_BYTES,
} from '../format/constants.js'
import { type FrameHeader, frameBytes, MANDATORY_FLAGS } from '../format/frame.js'
import type { LogTables } from '../state/tables.js'
import type { Entry, HoleFacts } from '../types.js'

/** What the index of one unsettled entry is counted as. */
export const INDEX_ENTRY_BYTES = 64

export interface PositionRange {
  readonly stream: number
  readonly from: number
  readonly to: number
}

/** A frame whose CRCs are good and whose content cannot be. */
export interface Doubt {
  /** Index of the segment. */
  readonly segment: number
  readonly from: number
  readonly to: number
  readonly text: string
  readonly ranges: PositionRange[]
}

/** The state of the CHECKPOINT a segment begins with. */
export interface FirstCheckpoint {
  previousLastLsn: number
  previousLastBodyCrc: number
  isComplete: boolean
}

export class FrameApplier {
  readonly holes: HoleFacts[] = []
  readonly doubts: Doubt[] = []
  readonly optional = new Map<number, number>()
  /** By index of the segment. */
  readonly firstCheckpoints = new Map<number, FirstCheckpoint>()
  /** Of the last complete CHECKPOINT. */
  oldestLiveSegment = 0
  /** Highest segment a ROLL frame names. */
  rolledTo = 0
  isClean = false
  frames = 0
  records = 0
  /** Tables are filled too; otherwise only what `judge` needs is noted. */
  readonly #tables: LogTables
  readonly #numbers: readonly number[]
  readonly #maxEntries: number
  readonly #prefix = new BatchPrefix()
  readonly #ack = new Ack()
  readonly #bind = new Bind()
  #parts: CheckpointBody[] = []
  #partsSeen = 0
  #partsSegment = -1
  #isStarted = false
  /** Where lost positions go: the gap before the frames that come now. null: nothing is missing so far. */
  #lost: PositionRange[] | null = null
  /** Positions of which nothing is known, until a CHECKPOINT tells; null: the log's first CHECKPOINT is readable. */
  #head: PositionRange[] | null = null
  /** Positions that were lost together with the first CHECKPOINT. */
  readonly headLosses: PositionRange[] = []

  /** `numbers`: of the segments, by index. `maxEntries`: unsettled ones at any moment. */
  constructor(tables: LogTables, numbers: readonly number[], maxEntries = Number.POSITIVE_INFINITY) {
    this.#maxEntries = maxEntries
    this.#tables = tables
    this.#numbers = numbers
  }

  /** LSNs are missing before the next frame: positions that later frames skip were lost there. */
  enterGap(lost: PositionRange[]): void {
    this.#lost = lost
  }

  /** Tables are known although the first CHECKPOINT is not readable: what is missing is taken from later ones. */
  startWithout(): void {
    this.#isStarted = true
    this.#head = []
    this.#lost = this.#head
  }

  /** Nothing comes any more. `isWhole`: no segment was there before the first one, so that positions begin at 0. */
  finish(isWhole: boolean): void {
    if (this.#head !== null && isWhole) this.#tellHead(this.#head)
  }

  readonly apply = (
    bytes: Uint8Array,
    view: DataView,
    index: number,
    header: FrameHeader,
    at: number,
    segment: number,
  ): void => {
    this.frames++
    const { type } = header
    if ((header.flags & MANDATORY_FLAGS) !== 0) throw this.#notUnderstood(`flags ${header.flags}`, header, segment, at)
    if (type !== FrameType.pad) this.isClean = type === FrameType.close
    const body = index + FRAME_HEADER_BYTES
    const problem = this.#dispatch(bytes, view, body, header, at, segment)
    if (problem !== null) this.#doubt(problem, header, at, segment)
  }

  #dispatch(
    bytes: Uint8Array,
    view: DataView,
    body: number,
    header: FrameHeader,
    at: number,
    segment: number,
  ): string | null {
    const { type, bodyLength } = header
    switch (type) {
      case FrameType.batch:
      case FrameType.reloc:
        if (this.#tables.entryCount >= this.#maxEntries) throw this.#tooMany()
        return this.#data(view, body, header, at, segment)
      case FrameType.ack:
        return this.#acks(view, body, bodyLength)
      case FrameType.bind:
        return this.#binds(view, body, bodyLength)
      case FrameType.pad:
        return null
      default:
        return this.#control(bytes, view, body, header, at, segment)
    }
  }

  #data(view: DataView, body: number, header: FrameHeader, at: number, segment: number): string | null {
    const prefix = this.#prefix
    if (!readBatchPrefix(view, body, header.bodyLength, prefix)) return 'the prefix of a data frame is malformed'
    const { stream: id, count, firstPosition, part, parts, originLsn, originIncarnation } = prefix
    const stream = this.#tables.streams.get(id)
    if (stream === undefined) {
      if (this.#lost === null) return `a data frame belongs to stream ${id}, which nothing defines`
      // Its STREAM frame was in the gap: nobody knows whose records these are. They are lost with it, and told with it.
      this.#lost.push({ stream: id, from: firstPosition, to: firstPosition + count - 1 })
      return null
    }
    const isReloc = header.type === FrameType.reloc
    if (isReloc && originLsn === 0) return 'a copied frame does not say of which entry'
    const entry: Entry = {
      lsn: isReloc ? originLsn : header.lsn,
      stream: id,
      firstPosition,
      count,
      maxTimestampMs: prefix.maxTimestampMs,
      producerId: prefix.producerId,
      epoch: prefix.epoch,
      baseSequence: prefix.baseSequence,
      part,
      parts,
      originLsn: isReloc ? 0 : originLsn,
      originIncarnation,
      incarnation: header.incarnation,
      segment: this.#numbers[segment] as number,
      at,
      bodyBytes: header.bodyLength,
      unsettled: count,
    }
    if (isReloc) {
      if (firstPosition + count > stream.nextPosition) this.#skipped(id, firstPosition + count)
      this.#tables.adopted(entry)
      return null
    }
    this.records += count
    if (parts <= 1) {
      if (firstPosition < stream.nextPosition) return `positions ${firstPosition} and up of stream ${id} come twice`
      if (firstPosition > stream.nextPosition && !this.#skipped(id, firstPosition)) {
        return `positions ${stream.nextPosition}..${firstPosition - 1} of stream ${id} are skipped, but no LSN is missing`
      }
    } else if (firstPosition + count > stream.nextPosition) this.#skipped(id, firstPosition + count)
    this.#tables.appended(entry)
    return null
  }

  /** Positions below `next` were in frames that are not there. False: no frame is missing. */
  #skipped(stream: number, next: number): boolean {
    if (this.#lost === null) return false
    const from = this.#tables.advance(stream, next)
    if (from < next) this.#lost.push({ stream, from, to: next - 1 })
    return true
  }

  #acks(view: DataView, body: number, length: number): string | null {
    if (length % ACK_BYTES !== 0) return 'the length of an ACK frame is not a multiple of 32'
    const ack = this.#ack
    let problem: string | null = null
    for (let at = body; at < body + length; at += ACK_BYTES) {
      if (!readAck(view, at, ack)) problem = 'an acknowledgement is malformed'
      else problem = this.#acked(ack) ?? problem
    }
    return problem
  }

  #acked({ stream: id, from, to, outcome, baseOffset }: Ack): string | null {
    const stream = this.#tables.streams.get(id)
    if (stream === undefined) return this.#lost === null ? `stream ${id} is acknowledged, but nothing defines it` : null
    if (to >= stream.nextPosition) {
      // Frames of these positions are missing, but their outcome is known: they are not lost.
      if (this.#lost === null) return `positions up to ${to} of stream ${id} are acknowledged, but were never logged`
      const next = stream.nextPosition
      if (from > next) this.#skipped(id, from)
      this.#tables.advance(id, to + 1)
    }
    this.#tables.settled(id, from, to, outcome, baseOffset)
    return null
  }

  #binds(view: DataView, body: number, length: number): string | null {
    if (length % BIND_BYTES !== 0) return 'the length of a BIND frame is not a multiple of 24'
    const bind = this.#bind
    for (let at = body; at < body + length; at += BIND_BYTES) {
      if (!readBind(view, at, bind)) return 'a binding is malformed'
      this.#tables.bound(bind.lsn, bind.producerId, bind.epoch, bind.baseSequence)
    }
    return null
  }

  #control(
    bytes: Uint8Array,
    view: DataView,
    body: number,
    header: FrameHeader,
    at: number,
    segment: number,
  ): string | null {
    try {
      this.#decode(bytes, view, body, header, at, segment)
      return null
    } catch (error) {
      if (error instanceof MQError && error.context.reason === 'WAL_CORRUPT') return error.message
      throw error
    }
  }

  #decode(bytes: Uint8Array, view: DataView, body: number, header: FrameHeader, at: number, segment: number): void {
    const { type, bodyLength } = header
    switch (type) {
      case FrameType.checkpoint:
        this.#checkpoint(bytes, view, body, bodyLength, at, segment)
        break
      case FrameType.open: {
        const open = decodeOpen(bytes, view, body, bodyLength)
        this.#tables.opened(open.incarnation, open.incarnationId, open)
        break
      }
      case FrameType.stream:
        this.#tables.defineStream(decodeStream(bytes, view, body, bodyLength))
        break
      case FrameType.identity: {
        const { producerId, epoch, clusterId } = decodeIdentity(bytes, view, body, bodyLength)
        this.#tables.defineIdentity(producerId, epoch, clusterId)
        break
      }
      case FrameType.hole: {
        const hole = decodeHole(bytes, view, body, bodyLength)
        this.holes.push(hole)
        this.#tables.hole(hole)
        break
      }
      case FrameType.roll:
        this.rolledTo = Math.max(this.rolledTo, decodeRoll(bytes, view, body, bodyLength))
        break
      case FrameType.close:
        break
      default:
        if (type < FIRST_OPTIONAL_TYPE) throw this.#notUnderstood(`type ${type}`, header, segment, at)
        this.optional.set(type, (this.optional.get(type) ?? 0) + 1)
    }
  }

  /** Parts follow each other; only a whole CHECKPOINT counts. */
  #checkpoint(bytes: Uint8Array, view: DataView, body: number, length: number, at: number, segment: number): void {
    const head = decodeCheckpointHead(bytes, view, body, length)
    const { part, parts, previousLastLsn, previousLastBodyCrc, oldestLiveSegment } = head
    if (at === SEGMENT_HEADER_BYTES) {
      this.firstCheckpoints.set(segment, { previousLastLsn, previousLastBodyCrc, isComplete: false })
    }
    if (part === 0 || segment !== this.#partsSegment) this.#startParts(segment)
    if (part !== this.#partsSeen) return
    this.#partsSeen++
    this.#parts.push(decodeCheckpoint(bytes, view, body, length))
    if (part + 1 < parts) return
    const first = this.firstCheckpoints.get(segment)
    if (first !== undefined) first.isComplete = true
    this.oldestLiveSegment = oldestLiveSegment
    // What the frames before it said is known already, unless some of them are missing. Outcomes it may know alone: a
    // later opening begins to read here, and must not know more than this one.
    const isNeeded = !this.#isStarted || this.#lost !== null
    for (const whole of this.#parts) {
      if (isNeeded) this.#merge(whole)
      else this.#tables.outcomes(whole)
    }
    if (this.#head !== null) this.#tellHead(this.#head)
    this.#isStarted = true
    this.#startParts(segment)
  }

  /** The first CHECKPOINT that is readable: what was neither seen nor has an outcome was lost before it. */
  #tellHead(head: PositionRange[]): void {
    this.#head = null
    for (const { stream, from, to } of head) {
      for (const range of this.#tables.unsettledRanges(stream, from, to)) this.headLosses.push({ stream, ...range })
    }
    if (this.#lost === head) this.#lost = this.headLosses
  }

  #startParts(segment: number): void {
    this.#parts = []
    this.#partsSeen = 0
    this.#partsSegment = segment
  }

  #merge(part: CheckpointBody): void {
    if (this.#isStarted) {
      for (const { id, nextPosition, settledThrough } of part.streams) {
        const known = this.#tables.streams.get(id)
        if (known === undefined || nextPosition <= known.nextPosition) continue
        // Of the positions whose frames are missing, those that this CHECKPOINT calls settled are not lost.
        if (settledThrough > known.nextPosition) this.#tables.advance(id, settledThrough)
        this.#skipped(id, nextPosition)
      }
    }
    this.#tables.merge(part)
  }

  #doubt(text: string, header: FrameHeader, at: number, segment: number): void {
    this.doubts.push({ segment, from: at, to: at + frameBytes(header.bodyLength), text, ranges: [] })
  }

  /** Nothing was changed by then: a larger limit opens the log. */
  #tooMany(): MQError {
    const maxBytes = this.#maxEntries * INDEX_ENTRY_BYTES
    const text = `the log holds more than ${this.#maxEntries} unsettled entries, the limit of wal.recoveryIndexMaxBytes ${maxBytes} at ${INDEX_ENTRY_BYTES} B each: raise it`
    return walError('WAL_FULL', text, { entries: this.#maxEntries, maxBytes })
  }

  #notUnderstood(what: string, header: FrameHeader, segment: number, at: number): MQError {
    const number = this.#numbers[segment] as number
    return walError(
      'WAL_VERSION',
      `A frame at byte ${at} of segment ${number} (LSN ${header.lsn}) has ${what}, which this release does not know: use the release that wrote it`,
      { segment: number, byte: at, lsn: header.lsn },
    )
  }
}
