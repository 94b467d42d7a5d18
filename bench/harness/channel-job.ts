/**
 * The words between the channel's benchmark and its processes: what a case is, what one round of it gives.
 * Why a process that stays for all rounds: warmed up once, it can be measured in turn with those it is compared to.
 */
import type { Percentiles } from './wal-job.js'

/** How a case reads: `tryRead` until there is nothing, or one of the waiting ways. */
export type ReadApi = 'tryRead' | 'read' | 'readBatch' | 'onData' | 'forAwait'
export type ReadMode = 'zeroCopy' | 'safe'
export type MetricsMode = 'off' | 'on' | 'perRecord'

export type ChannelCase =
  /** Nobody reads; the oldest buffers are dropped. */
  | { readonly kind: 'write'; readonly payloadBytes: number; readonly copies: boolean }
  /** The double buffer without payloads: what a lane pays beside its encoding. */
  | { readonly kind: 'mechanism' }
  /** Records of Kafka's format in batches, sealed with their CRC. */
  | { readonly kind: 'encode'; readonly payloadBytes: number; readonly codec: 'none' | 'lz4' }
  | { readonly kind: 'writeRead'; readonly payloadBytes: number; readonly mode: ReadMode; readonly api: ReadApi }
  | { readonly kind: 'items'; readonly by: 'item' | 'batch' }
  | { readonly kind: 'metrics'; readonly mode: MetricsMode }
  | { readonly kind: 'thread'; readonly payloadBytes: number }
  | { readonly kind: 'wakeUp' }

export type CaseOf<K extends ChannelCase['kind']> = Extract<ChannelCase, { readonly kind: K }>

/** What a process is told: first to begin, then one word per round. */
export interface BeginJob {
  readonly what: ChannelCase
  /** What a round gives: time per call, or heap bytes per call. */
  readonly figure: 'time' | 'heap'
  readonly isQuick: boolean
}

export type ChannelCommand = { readonly begin: BeginJob } | 'round' | 'end'

export type ChannelAnswer =
  | { readonly ready: Readiness }
  | { readonly round: ChannelRound }
  | { readonly failure: string }

export interface Readiness {
  /** Calls per round. */
  readonly count: number
  /** Bytes that one call allocates on the heap. Payloads outside of it, in pools, are not among them. */
  readonly heapBytesPerCall: number
}

/** One round of one case; a call is one record written, and read where the case reads. */
export interface ChannelRound {
  readonly calls: number
  readonly wallNs: number
  /** User and system, of all threads of the process. */
  readonly cpuNs: number
  /** Records that were read back in this round and found right; 0 where nobody reads. */
  readonly verified: number
  readonly heapBytes?: number
  readonly latency?: Percentiles
}

/** What a process measures. Everything in it throws for a wrong result. */
export interface ChannelWork {
  /** Does the work `count` times. */
  run(count: number): void | Promise<void>
  /** Records read so far and found right. */
  verified(): number
  /** Calls after which nothing grows any more, where that may take longer than the warm-up. */
  readonly warmUpCalls?: number
  /** Calls per round, where the case prescribes it. Default: as many as fill the time of a round. */
  readonly fixedCount?: number
  /** Latencies since the last question. */
  latency?(): Promise<Percentiles>
  /** Last checks, and the end of threads and timers. */
  end?(): void | Promise<void>
}
