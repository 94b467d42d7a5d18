/**
 * The write-ahead log: its public class. Opening is in open/, everything that is written in write/, what is known in
 * state/; here they are one object, so that an owner sees a log and not its parts.
 * Invariant: the lock is held from before the first look at the segments until the last byte is written.
 * Source: wal.md 3.1, 4.1.
 */

import type { MQError } from '../errors/index.js'
import type { Clock } from '../util/index.js'
import type { Outcome } from './format/constants.js'
import { type OpenedLog, openLog } from './open/open-log.js'
import type { LogTables } from './state/tables.js'
import type {
  AppendedEntry,
  Entry,
  IdentityFacts,
  LogDurability,
  RecoveredLog,
  StreamFacts,
  Wal,
  WalEvents,
  WalMeasures,
  WalOptions,
  WalParts,
  WalState,
} from './types.js'
import type { LogWriter } from './write/log-writer.js'

/** How long `close` waits for the disk unless told otherwise. Milliseconds. */
const CLOSE_TIMEOUT_MS = 30_000

export class WriteAheadLog implements Wal {
  readonly dir: string
  readonly walId: string
  readonly durability: LogDurability
  readonly incarnation: number
  readonly incarnationId: string
  readonly recovered: RecoveredLog
  readonly #writer: LogWriter
  readonly #tables: LogTables
  readonly #opened: OpenedLog
  readonly #clock: Clock
  #closing: Promise<void> | null = null

  private constructor(opened: OpenedLog, options: WalOptions, clock: Clock) {
    this.dir = options.dir
    this.durability = options.durability
    this.walId = opened.walId
    this.incarnation = opened.incarnation
    this.incarnationId = opened.incarnationId
    this.recovered = opened.recovered
    this.#writer = opened.writer
    this.#tables = opened.tables
    this.#opened = opened
    this.#clock = clock
  }

  /**
   * Opens the log of a directory, or makes one: checks, lock, local recovery (wal.md 4.1), OPEN frame. When it resolves,
   * records are accepted.
   * @throws MQError WAL_LOCKED, WAL_LOCK_METHOD, WAL_PERMISSION, WAL_NETWORK_FS, WAL_VERSION, WAL_CORRUPT,
   * WAL_SEGMENT_MISSING, WAL_MANIFEST_MISSING, WAL_FULL, WAL_FAILED; nothing is held then.
   */
  static async open(options: WalOptions, parts: WalParts, events: WalEvents): Promise<WriteAheadLog> {
    return new WriteAheadLog(await openLog(options, parts, events), options, parts.clock)
  }

  get state(): WalState {
    return this.#writer.state
  }
  get failure(): MQError | null {
    return this.#writer.failure
  }
  get maxBodyBytes(): number {
    return this.#writer.maxBodyBytes
  }
  get acceptedLsn(): number {
    return this.#writer.acceptedLsn
  }
  get acceptedSettlements(): number {
    return this.#writer.acceptedSettlements
  }
  get lastLsn(): number {
    return this.#writer.lastLsn
  }
  get isIdle(): boolean {
    return this.#writer.isIdle
  }
  get onAccepted(): (() => void) | null {
    return this.#writer.onAccepted
  }
  set onAccepted(listener: (() => void) | null) {
    this.#writer.onAccepted = listener
  }
  get onRoom(): (() => void) | null {
    return this.#writer.onRoom
  }
  set onRoom(listener: (() => void) | null) {
    this.#writer.onRoom = listener
  }

  streamOf(topic: string, topicId: string, partition: number): number {
    return this.#writer.streamOf(topic, topicId, partition)
  }
  stream(id: number): StreamFacts | undefined {
    return this.#tables.streams.get(id)
  }
  get streams(): Iterable<StreamFacts> {
    return this.#tables.streams.values()
  }
  get identities(): readonly IdentityFacts[] {
    return this.#tables.identities
  }
  defineIdentity(producerId: bigint, epoch: number, clusterId: string): Promise<void> {
    return this.#writer.defineIdentity(producerId, epoch, clusterId)
  }

  admits(bytes: number): boolean {
    return this.#writer.admits(bytes)
  }
  append(entry: AppendedEntry, head: Uint8Array, body: Uint8Array): number {
    return this.#writer.append(entry, head, body)
  }
  appendItem(stream: number, bytes: Uint8Array, length: number): number {
    return this.#writer.appendItem(stream, bytes, length)
  }
  bind(entryLsn: number, producerId: bigint, epoch: number, baseSequence: number): number {
    return this.#writer.bind(entryLsn, producerId, epoch, baseSequence)
  }
  settle(stream: number, from: number, to: number, outcome: Outcome, baseOffset: number): number {
    return this.#writer.settle(stream, from, to, outcome, baseOffset)
  }
  flush(): void {
    this.#writer.flush()
  }
  accepted(lsn: number): Promise<void> {
    return this.#writer.accepted(lsn)
  }
  entriesOf(stream: number): readonly Entry[] {
    return this.#tables.entriesOf(stream)
  }
  entry(lsn: number): Entry | undefined {
    return this.#tables.entry(lsn)
  }
  unsettledOf(lsn: number): readonly (readonly [from: number, to: number])[] {
    const entry = this.#tables.entry(lsn)
    if (entry === undefined) return []
    const { stream, firstPosition, count } = entry
    const ranges = this.#tables.unsettledRanges(stream, firstPosition, firstPosition + count - 1)
    return ranges.map(({ from, to }) => [from, to] as const)
  }
  incarnationIdOf(incarnation: number): string | undefined {
    return incarnation === this.incarnation ? this.incarnationId : this.#tables.incarnations.get(incarnation)?.id
  }
  mayHaveLostPower(incarnation: number): boolean {
    if (incarnation === this.incarnation) return false
    return this.#tables.incarnations.get(incarnation)?.mayHaveLostPower ?? true
  }
  read(lsn: number): Promise<Uint8Array> {
    return this.#writer.read(lsn)
  }
  sync(): Promise<void> {
    return this.#writer.sync()
  }
  measures(): WalMeasures {
    return { ...this.#writer.measures(), ...this.#opened.measures }
  }

  /**
   * Twice gives the same promise. When it resolves the lock is free; when the disk hangs it rejects after `timeoutMs`,
   * and the lock stays until the last call has come back, or the process ends.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? CLOSE_TIMEOUT_MS)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + timeoutMs
    try {
      await this.#writer.close({ timeoutMs })
    } finally {
      await this.#opened.release(Math.max(0, untilMs - this.#clock.monotonicMs()))
    }
  }
}
