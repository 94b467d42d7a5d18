/**
 * What a log offers to its owner: a producer (batches of topic-partitions) or a queue (items of stream 0).
 * Terms (wal.md): an entry is one data frame; a stream is one topic-partition; a position counts the records of a
 * stream from 0 and never ends; an LSN counts the frames of the log; accepted = the log has taken responsibility at the
 * configured durability; settled = delivered, rejected or dropped, and recorded so.
 */
import type { MQError } from '../errors/index.js'
import type { Clock, Logger } from '../util/index.js'
import type { Outcome } from './format/constants.js'
import type { LockMethod, WalFs } from './fs.js'

/** 'memory' has no log; 'spill' accepts as 'os' does. */
export type LogDurability = 'spill' | 'os' | 'periodic' | 'immediate'
export type WalOwner = 'producer' | 'queue'
/** open | draining: full, only settling goes on | degraded: a segment was given up | failed: nothing is written any more. */
export type WalState = 'open' | 'draining' | 'degraded' | 'failed'

/** Units as in the configuration (`wal.*`), which gives the defaults. */
export interface WalOptions {
  readonly dir: string
  readonly owner: WalOwner
  readonly durability: LogDurability
  readonly maxBytes: number
  readonly segmentBytes: number
  readonly syncIntervalMs: number
  readonly groupMaxBytes: number
  readonly groupMaxWaitMs: number
  readonly pendingMaxBytes: number
  readonly unsyncedMaxBytes: number
  readonly minFreeBytes: number
  readonly ackFlushMs: number
  readonly onCorruption: 'stop' | 'quarantine'
  readonly recoveryIndexMaxBytes: number
  readonly spareSegments: number
  readonly allowUnsafeDir: boolean
  readonly scrub: boolean
  /** Default: the first that works here of flock, sqlite, pipe, pidfile; a directory keeps the one it was made with. */
  readonly lockMethod?: LockMethod
}

/** Who opens it, for OPEN frames and clone detection. */
export interface HostFacts {
  readonly pid: number
  readonly host: string
  /** Changes with every boot of the machine; '' = unknown. */
  readonly bootId: string
  readonly userId: number
  readonly version: string
}

/** Everything a log needs of the world. */
export interface WalParts {
  readonly fs: WalFs
  readonly clock: Clock
  /** Fills with random bytes: salts, ids. */
  readonly randomBytes: (into: Uint8Array) => void
  readonly host: HostFacts
  readonly logger: Logger
}

/** A data frame that is not settled. Payload-free: the body is read when it is needed. */
export interface Entry {
  readonly lsn: number
  readonly stream: number
  readonly firstPosition: number
  readonly count: number
  readonly maxTimestampMs: number
  /** UNBOUND (-1n): no identity yet. The last BIND counts. */
  producerId: bigint
  epoch: number
  baseSequence: number
  readonly part: number
  readonly parts: number
  readonly originLsn: number
  readonly originIncarnation: number
  readonly incarnation: number
  /** Where the frame is: changed by a RELOC and by the rewriting of a poisoned segment. */
  segment: number
  at: number
  /** Of the frame's body, prefix included. */
  readonly bodyBytes: number
  /** Records without an outcome. */
  unsettled: number
}

export interface StreamFacts {
  readonly id: number
  readonly topic: string
  /** '' = not known. */
  topicId: string
  readonly partition: number
  nextPosition: number
  /** Every position below is settled. */
  settledThrough: number
  /** Of the last record known to be delivered; -1 = none. */
  lastAckedOffset: number
  /** What was acknowledged of each identity that wrote to this stream. */
  readonly acked: AckedIdentity[]
}

export interface AckedIdentity {
  readonly producerId: bigint
  readonly epoch: number
  lastAckedSequence: number
  maxTimestampMs: number
}

export interface IdentityFacts {
  readonly producerId: bigint
  readonly epoch: number
  readonly clusterId: string
}

/** One loss, as a HOLE frame records it. */
export interface HoleFacts {
  readonly fromLsn: number
  readonly toLsn: number
  readonly segment: number
  readonly fromByte: number
  readonly toByte: number
  readonly verdict: HoleVerdict
  readonly ranges: readonly { readonly stream: number; readonly from: number; readonly to: number }[]
}
/** corrupt: promised data was damaged | reordered: unsynced pages lost in a power loss | unaccepted: never promised. */
export type HoleVerdict = 'corrupt' | 'reordered' | 'unaccepted'

/** What the local phase of recovery found (wal.md 4.1). */
export interface RecoveredLog {
  readonly isNew: boolean
  /** The last owner said goodbye with a CLOSE frame. */
  readonly isClean: boolean
  /** null: the directory is new. */
  readonly previous: {
    readonly incarnation: number
    readonly incarnationId: string
    readonly durability: LogDurability
    readonly host: string
    readonly pid: number
    readonly openedAtMs: number
    /** The machine was booted since, or it is not known whether. */
    readonly mayHaveLostPower: boolean
    readonly isOtherHost: boolean
  } | null
  readonly clusterId: string
  readonly entries: number
  readonly records: number
  readonly tornBytes: number
  readonly discardedUnaccepted: number
  readonly holes: readonly HoleFacts[]
  readonly scannedBytes: number
  readonly scanMs: number
}

/** All are told in their own turn; a listener that throws hurts nobody. */
export interface WalEvents {
  degraded(error: MQError): void
  failed(error: MQError): void
  slowSync(ms: number): void
  /** No more room: `free` bytes must be settled before new records are taken. */
  full(): void
  room(): void
  progress(step: RecoveryProgress): void
}

export interface RecoveryProgress {
  readonly phase: 'scan' | 'resolve' | 'done'
  readonly segments: number
  readonly bytes: number
  readonly totalBytes: number
  readonly entries: number
}

/** One data frame to be appended; the log fills in the last two. The caller keeps the object. */
export interface AppendedEntry {
  readonly stream: number
  readonly count: number
  readonly maxTimestampMs: number
  readonly producerId: bigint
  readonly epoch: number
  readonly baseSequence: number
  readonly part: number
  readonly parts: number
  readonly originLsn: number
  lsn: number
  firstPosition: number
}

/** Running numbers; read, never reset. */
export interface WalMeasures {
  readonly appendedRecords: number
  readonly appendedBytes: number
  readonly groups: number
  readonly fdatasyncs: number
  readonly pendingBytes: number
  readonly unsyncedBytes: number
  /** Bytes of segments that hold unsettled records. */
  readonly liveBytes: number
  readonly segments: { readonly live: number; readonly spare: number }
  /** All files of the directory that count against `maxBytes`. */
  readonly totalBytes: number
  readonly oldestUnsettledSeconds: number
  readonly unsettledRecords: number
  readonly settledRecords: Readonly<Record<'delivered' | 'duplicate' | 'rejected' | 'dropped' | 'lost', number>>
  readonly rejected: number
  readonly errors: ReadonlyMap<string, number>
  readonly poisoned: number
  readonly tornBytes: number
  readonly holeRecords: number
  readonly relocatedBytes: number
  readonly recoveredRecords: number
  readonly recoverySeconds: number
  readonly groupRecords: import('../util/index.js').Buckets | null
  readonly writeSeconds: import('../util/index.js').Buckets | null
  readonly fdatasyncSeconds: import('../util/index.js').Buckets | null
  readonly acceptSeconds: import('../util/index.js').Buckets | null
}

/** An open log. `WriteAheadLog.open` gives one. */
export interface Wal {
  readonly dir: string
  readonly walId: string
  readonly durability: LogDurability
  readonly incarnation: number
  /** 16 hex digits, new at every opening. */
  readonly incarnationId: string
  readonly state: WalState
  /** Why it failed, when it did. */
  readonly failure: MQError | null
  readonly recovered: RecoveredLog
  /** Largest body `append` takes, prefix not included. Bytes. */
  readonly maxBodyBytes: number

  /** Everything up to here is accepted. */
  readonly acceptedLsn: number
  /** Settlements (calls of `settle`) whose ACK frames are accepted. */
  readonly acceptedSettlements: number
  /** LSN of the last frame given to `append`, `appendItem` or `bind`. */
  readonly lastLsn: number
  /** Nothing is being written or synced, and nothing waits for it. */
  readonly isIdle: boolean
  /** One of the two numbers above moved. Once per group, in LSN order, never inside a call of the owner's. */
  onAccepted: (() => void) | null
  /** `admits` may be true again. */
  onRoom: (() => void) | null

  /** The stream of a topic-partition: the known one with the same topic id, or a new one. */
  streamOf(topic: string, topicId: string, partition: number): number
  stream(id: number): StreamFacts | undefined
  readonly streams: Iterable<StreamFacts>
  readonly identities: readonly IdentityFacts[]
  /** Resolves when the IDENTITY frame is on the disk, synced in every mode. */
  defineIdentity(producerId: bigint, epoch: number, clusterId: string): Promise<void>

  /** False: no room now (too much unwritten or unsynced, or no segment left). `append` then throws WAL_FULL. */
  admits(bytes: number): boolean
  /**
   * Takes one sealed batch: copies it into the open group, gives LSN and first position.
   * @throws MQError WAL_FULL, WAL_FAILED, WAL_FRAME_TOO_LARGE
   */
  append(entry: AppendedEntry, head: Uint8Array, body: Uint8Array): number
  /** Takes one item of a queue, without any allocation; items of one group share a frame. Gives its position. */
  appendItem(stream: number, bytes: Uint8Array, length: number): number
  /** A new identity for an entry; gives the LSN that must be accepted before it goes on the wire. */
  bind(entryLsn: number, producerId: bigint, epoch: number, baseSequence: number): number
  /** Records outcomes of positions `from`..`to` (inclusive); gives the running number of this settlement. */
  settle(stream: number, from: number, to: number, outcome: Outcome, baseOffset: number): number
  /** Writes what is open at the end of this turn, acknowledgements too. */
  flush(): void
  /** Resolves when that LSN is accepted; one shared promise per group. Rejects with WAL_FAILED. */
  accepted(lsn: number): Promise<void>
  /** Unsettled entries of a stream in position order. Live: valid until the next settlement. */
  entriesOf(stream: number): readonly Entry[]
  entry(lsn: number): Entry | undefined
  /** Positions of an entry without an outcome: pairs from, to (inclusive), ascending. A queue resends exactly these. */
  unsettledOf?(lsn: number): readonly (readonly [from: number, to: number])[]
  /** The id of the opening that wrote an entry; undefined: nothing refers to it any more. A queue names items by it. */
  incarnationIdOf?(incarnation: number): string | undefined
  /**
   * True: records that this opening had accepted may be missing, because it did not sync each of them (`os`, `periodic`,
   * `spill`) and the machine was booted before the next opening, or nobody knows whether it was (wal.md 1.3, E10).
   */
  mayHaveLostPower?(incarnation: number): boolean
  /** The body of an unsettled entry, without its prefix, CRC checked. Rejects with WAL_CORRUPT when it is damaged. */
  read(lsn: number): Promise<Uint8Array>
  /** Everything appended so far is on the disk. */
  sync(): Promise<void>
  measures(): WalMeasures
  /** Writes and syncs what is open, a CLOSE frame, gives up the lock. Bounded by `timeoutMs`; never rejects twice. */
  close(options?: { readonly timeoutMs?: number }): Promise<void>
}
