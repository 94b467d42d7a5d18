/**
 * The open group: what callers append lands here at once, as drafts that are sealed when the group is written.
 * Hot path; an item costs its copy and one comparison of limits, nothing is created.
 * Invariant: LSN order = call order = order in the group; an entry is in the tables from its append on, with `at` -1
 * until its frame is written.
 *
 *   group:  | BATCH | BATCH | BATCH (run of items, still growing) |      run limit = what admission, group and frame allow
 *
 * Source: wal.md 3.1, 3.3, 3.4.
 */
import { assert, type Clock } from '../../util/index.js'
import { encodeBatchPrefix } from '../format/bodies/batch-prefix.js'
import { encodeBind } from '../format/bodies/bind.js'
import {
  ACK_BYTES,
  BATCH_PREFIX_BYTES,
  BIND_BYTES,
  FRAME_HEADER_BYTES,
  FrameFlag,
  FrameType,
  type Outcome,
  UNBOUND,
} from '../format/constants.js'
import { frameBytes } from '../format/frame.js'
import type { LogTables } from '../state/tables.js'
import type { AppendedEntry, Entry, StreamFacts } from '../types.js'
import { PendingAcks } from './acks.js'
import { ENTRY_OVERHEAD_BYTES, putDraft } from './draft.js'
import type { Group, GroupPool } from './group.js'
import type { Limits } from './limits.js'

/** Below, a loop copies faster than a call of `set` with its view; measured on x64, node 20. */
const SHORT_ITEM_BYTES = 256
const VARINT_BYTES = 5

export class Composer {
  readonly #limits: Limits
  readonly #pool: GroupPool
  readonly #tables: LogTables
  readonly #clock: Clock
  readonly #incarnation: number
  readonly acks = new PendingAcks()
  group: Group
  lastLsn: number
  settlements = 0
  /** Segment a new entry is counted with until its frame is written. */
  provisionalSegment = 0

  // The run: one BATCH frame of items that still grows. #runAt -1: none.
  #runAt = -1
  #runStream = -1
  #runEnd = 0
  #runLimit = 0
  #runCount = 0
  #runFirst = 0
  #runLsn = 0
  #runMs = 0

  constructor(limits: Limits, pool: GroupPool, tables: LogTables, clock: Clock, incarnation: number, lastLsn: number) {
    this.#limits = limits
    this.#pool = pool
    this.#tables = tables
    this.#clock = clock
    this.#incarnation = incarnation
    this.lastLsn = lastLsn
    this.group = pool.take()
  }

  /** Bytes in the open group, its run included. */
  get openBytes(): number {
    return this.#runAt < 0 ? this.group.length : this.#runEnd
  }

  get isEmpty(): boolean {
    return this.group.length === 0 && this.#runAt < 0
  }

  /** True when an item of this length fits into the run as it is: the short way of `item`. */
  takes(stream: number, length: number): boolean {
    return stream === this.#runStream && this.#runEnd + length + VARINT_BYTES <= this.#runLimit
  }

  /** Only after `takes`. Gives the position. */
  item(bytes: Uint8Array, length: number): number {
    const target = this.group.bytes
    let at = this.#runEnd
    let rest = length
    while (rest > 127) {
      target[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    target[at++] = rest
    if (length <= SHORT_ITEM_BYTES) for (let from = 0; from < length; from++) target[at + from] = bytes[from] as number
    else target.set(bytes.length === length ? bytes : bytes.subarray(0, length), at)
    this.#runEnd = at + length
    return this.#runFirst + this.#runCount++
  }

  /** Begins a frame of items; `admitted` is what admission lets pass, and holds at least one such item. */
  beginRun(stream: number, length: number, admitted: number): void {
    this.endRun()
    const facts = this.#known(stream)
    const group = this.#started()
    const { groupCloseBytes, maxFrameBytes } = this.#limits
    const least = ENTRY_OVERHEAD_BYTES + length + VARINT_BYTES
    const most = Math.min(admitted, maxFrameBytes, Math.max(least, groupCloseBytes - group.length))
    assert(most >= least, 'a run of items begins with room for one')
    group.reserve(Math.min(most, Math.max(least * 16, 16_384)) + 8)
    this.#runAt = group.length
    this.#runEnd = group.length + ENTRY_OVERHEAD_BYTES
    this.#runLimit = Math.min(group.length + most, group.bytes.length - 8)
    this.#runStream = stream
    this.#runCount = 0
    this.#runFirst = facts.nextPosition
    this.#runLsn = ++this.lastLsn
    this.#runMs = this.#clock.now()
  }

  /** Completes the frame of items: from here it is an entry like any other. */
  endRun(): void {
    if (this.#runAt < 0) return
    const { group } = this
    const bodyLength = this.#runEnd - this.#runAt - FRAME_HEADER_BYTES
    const at = this.#runAt
    this.#runAt = -1
    const entry = this.#entryOf(this.#runLsn, this.#runStream, this.#runFirst, this.#runCount, this.#runMs, bodyLength)
    this.#runStream = -1
    encodeBatchPrefix(group.bytes, group.view, at + FRAME_HEADER_BYTES, entry)
    group.length = putDraft(group.bytes, group.view, at, bodyLength, FrameType.batch, FrameFlag.unbound, entry.lsn)
    this.#noted(group, entry)
  }

  append(entry: AppendedEntry, head: Uint8Array, body: Uint8Array): number {
    this.endRun()
    this.#known(entry.stream)
    const group = this.#started()
    const bodyLength = BATCH_PREFIX_BYTES + head.length + body.length
    group.reserve(frameBytes(bodyLength))
    const at = group.length
    entry.lsn = ++this.lastLsn
    entry.firstPosition = this.#tables.firstPositionOf(entry.stream, entry.part, entry.parts, entry.originLsn)
    const kept = this.#keptOf(entry, bodyLength)
    const bodyAt = encodeBatchPrefix(group.bytes, group.view, at + FRAME_HEADER_BYTES, kept)
    group.bytes.set(head, bodyAt)
    group.bytes.set(body, bodyAt + head.length)
    const flags = (entry.producerId === UNBOUND ? FrameFlag.unbound : 0) | (entry.parts > 1 ? FrameFlag.split : 0)
    group.length = putDraft(group.bytes, group.view, at, bodyLength, FrameType.batch, flags, entry.lsn)
    this.#noted(group, kept)
    return entry.lsn
  }

  bind(entryLsn: number, producerId: bigint, epoch: number, baseSequence: number): number {
    this.endRun()
    const group = this.#started()
    group.reserve(frameBytes(BIND_BYTES))
    const bodyAt = group.length + FRAME_HEADER_BYTES
    encodeBind(group.bytes, group.view, bodyAt, entryLsn, producerId, epoch, baseSequence)
    this.#finish(group, FrameType.bind, BIND_BYTES, 0)
    this.#tables.bound(entryLsn, producerId, epoch, baseSequence)
    return this.lastLsn
  }

  /** A live entry copied forward; `content` is its body behind the prefix. It keeps its LSN; gives that of the frame. */
  relocate(entry: Entry, content: Uint8Array): number {
    this.endRun()
    const group = this.#started()
    const bodyLength = BATCH_PREFIX_BYTES + content.length
    group.reserve(frameBytes(bodyLength))
    const { stream, count, firstPosition, maxTimestampMs, producerId, epoch, part, parts, baseSequence } = entry
    const identity = { producerId, epoch, baseSequence }
    const origin = { originLsn: entry.lsn, originIncarnation: entry.incarnation }
    const prefix = { stream, count, firstPosition, maxTimestampMs, part, parts, ...identity, ...origin }
    const bodyAt = encodeBatchPrefix(group.bytes, group.view, group.length + FRAME_HEADER_BYTES, prefix)
    group.bytes.set(content, bodyAt)
    return this.#finish(group, FrameType.reloc, bodyLength, producerId === UNBOUND ? FrameFlag.unbound : 0)
  }

  /** A frame with a body made elsewhere and an LSN of its own. Gives the LSN. */
  frame(type: number, flags: number, body: Uint8Array): number {
    this.endRun()
    const group = this.#started()
    group.reserve(frameBytes(body.length))
    group.bytes.set(body, group.length + FRAME_HEADER_BYTES)
    return this.#finish(group, type, body.length, flags)
  }

  settle(stream: number, from: number, to: number, outcome: Outcome, baseOffset: number): number {
    if (stream === this.#runStream && to >= this.#runFirst) this.endRun()
    const changed = this.#tables.settled(stream, from, to, outcome, baseOffset)
    this.settlements++
    if (changed > 0) this.acks.push(stream, outcome, from, to, baseOffset, this.settlements)
    return changed
  }

  /** Ends the open group with what is acknowledged so far and begins the next one; null: there is nothing. */
  close(): Group | null {
    this.endRun()
    if (this.acks.size > 0) this.#putAcks()
    const { group } = this
    if (group.length === 0) return null
    group.lastLsn = this.lastLsn
    group.settlements = this.acks.size === 0 ? this.settlements : this.acks.taken
    this.group = this.#pool.take()
    return group
  }

  #putAcks(): void {
    const group = this.#started()
    const most = Math.max(1, Math.floor((this.#limits.groupAckBytes - FRAME_HEADER_BYTES) / ACK_BYTES))
    const bytes = Math.min(most * ACK_BYTES, this.acks.bytes())
    group.reserve(frameBytes(bytes))
    this.acks.take(most, group.bytes, group.view, group.length + FRAME_HEADER_BYTES)
    this.#finish(group, FrameType.ack, bytes, 0)
  }

  #finish(group: Group, type: number, bodyLength: number, flags: number): number {
    const lsn = ++this.lastLsn
    group.length = putDraft(group.bytes, group.view, group.length, bodyLength, type, flags, lsn)
    if (group.firstLsn === 0) group.firstLsn = lsn
    return lsn
  }

  #started(): Group {
    if (this.group.openedMs === 0) this.group.openedMs = this.#clock.monotonicMs()
    return this.group
  }

  #noted(group: Group, entry: Entry): void {
    if (group.firstLsn === 0) group.firstLsn = entry.lsn
    group.records += entry.count
    this.#tables.appended(entry)
  }

  #known(stream: number): StreamFacts {
    const facts = this.#tables.streams.get(stream)
    assert(facts !== undefined, 'a stream is defined (streamOf) before anything is appended to it')
    return facts
  }

  #keptOf(entry: AppendedEntry, bodyBytes: number): Entry {
    const { lsn, stream, firstPosition, count, maxTimestampMs, producerId, epoch, baseSequence, part, parts } = entry
    const originIncarnation =
      entry.originLsn === 0 ? 0 : (this.#tables.entry(entry.originLsn)?.incarnation ?? this.#incarnation)
    return {
      lsn,
      stream,
      firstPosition,
      count,
      maxTimestampMs,
      producerId,
      epoch,
      baseSequence,
      part,
      parts,
      originLsn: entry.originLsn,
      originIncarnation,
      incarnation: this.#incarnation,
      segment: this.provisionalSegment,
      at: -1,
      bodyBytes,
      unsettled: count,
    }
  }

  #entryOf(
    lsn: number,
    stream: number,
    firstPosition: number,
    count: number,
    maxTimestampMs: number,
    bodyBytes: number,
  ): Entry {
    return {
      lsn,
      stream,
      firstPosition,
      count,
      maxTimestampMs,
      producerId: UNBOUND,
      epoch: -1,
      baseSequence: -1,
      part: 0,
      parts: 0,
      originLsn: 0,
      originIncarnation: 0,
      incarnation: this.#incarnation,
      segment: this.provisionalSegment,
      at: -1,
      bodyBytes,
      unsettled: count,
    }
  }
}
