/**
 * The words of the gateway: what clients say, what they are told, and what the gateway asks of Kafka. GW-1.
 * Why a backend: this room knows neither brokers nor groups; `gateway-backend.ts` beside the facade makes one of an `MQ`.
 */
import type { MQError, Persistence } from '../errors/index.js'

export type Transport = 'tcp' | 'websocket'
/** How frames are written. A client's first frame decides in which it is answered. */
export type Format = 'json' | 'protobuf'

export type HeaderList = readonly (readonly [name: string, value: Uint8Array | null])[]

/** What a client asks; the same whatever the format. `id` comes back in the answer; 0..2^53-1 or a string up to 64 characters. */
export type ClientFrame =
  | { readonly type: 'auth'; readonly id?: FrameId; readonly token: string }
  | {
      readonly type: 'publish'
      readonly id?: FrameId
      readonly topic: string
      readonly key: Uint8Array | null
      readonly value: Uint8Array | null
      readonly headers: HeaderList
      readonly partition?: number
      /** Milliseconds since 1970. */
      readonly timestamp?: number
    }
  | {
      readonly type: 'subscribe'
      readonly id?: FrameId
      /** Empty: the gateway's `keyTopics`, and then `key` is needed. */
      readonly topics: readonly string[]
      /** Only records with this key. */
      readonly key?: Uint8Array
      readonly from: StartAt
    }
  | {
      readonly type: 'unsubscribe'
      readonly id?: FrameId
      readonly topics: readonly string[]
      readonly key?: Uint8Array
    }
  | { readonly type: 'ping'; readonly id?: FrameId }
  | { readonly type: 'stats'; readonly id?: FrameId; readonly isOn: boolean }

export type FrameId = number | string

/** Where reading begins; next offsets by topic and partition; partitions that are not named begin at the latest. */
export type StartAt = 'latest' | 'earliest' | ReadonlyMap<string, ReadonlyMap<number, number>>

/** What a client is told, records excepted: these are written in blocks (`FeedRecord`). */
export type ServerFrame =
  | {
      readonly type: 'welcome'
      readonly name: string
      readonly version: 1
      readonly limits: Readonly<Record<string, number>>
    }
  | {
      readonly type: 'ack'
      readonly id: FrameId | undefined
      readonly topic: string
      readonly partition: number
      readonly offset: number
      readonly timestamp: number
    }
  | {
      readonly type: 'subscribed'
      readonly id: FrameId | undefined
      /** The next offset of each partition. */
      readonly topics: ReadonlyMap<string, ReadonlyMap<number, number>>
    }
  | { readonly type: 'unsubscribed'; readonly id: FrameId | undefined }
  /** Records `from` to `to`, both inclusive, will not come. */
  | {
      readonly type: 'gap'
      readonly topic: string
      readonly partition: number
      readonly from: number
      readonly to: number
      readonly reason: 'dropped' | 'deleted'
    }
  | {
      readonly type: 'error'
      readonly id: FrameId | undefined
      readonly code: string
      readonly reason: string | undefined
      readonly message: string
      /** Which topic it is about, if it is about one: without an `id` its subscription has ended. */
      readonly topic?: string | undefined
      /** Of a publish that failed: may the record be there all the same? Absent: nobody knows, or there is no record. */
      readonly persistence?: Persistence | undefined
    }
  | { readonly type: 'pong'; readonly id: FrameId | undefined }
  | { readonly type: 'stats'; readonly id: FrameId | undefined; readonly stats: unknown }

/** A record on its way to clients. The bytes are nobody's to change. */
export interface FeedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: HeaderList
}

export interface PublishOptions {
  readonly key: Uint8Array | null
  readonly headers: HeaderList
  readonly partition?: number
  readonly timestamp?: number
}

export interface Published {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
}

/** What the gateway asks of Kafka. All reject with an MQError. */
export interface GatewayBackend {
  /** Resolves when the record is acknowledged as the producer's `acks` ask. Calls for one key keep their order. */
  publish(topic: string, value: Uint8Array | null, options: PublishOptions): Promise<Published>
  /** Ascending. TOPIC_NOT_FOUND when there is none, and none is made. */
  partitionsOf(topic: string): Promise<readonly number[]>
  /** The first offset that exists, and the next one to come. */
  positions(topic: string, partition: number): Promise<{ readonly earliest: number; readonly next: number }>
  /**
   * Reads one partition in order from an offset, for ever. An offset that was deleted already begins at the earliest that
   * exists: the first record tells. Two readers of one partition are independent.
   */
  open(topic: string, partition: number, from: number, sink: FeedSink): Feed
  close(): Promise<void>
}

export interface FeedSink {
  /** At least one record, ascending offsets; offsets may be missing (compaction, control records). */
  records(batch: readonly FeedRecord[]): void
  /** This reader has ended; a new `open` may work. */
  failed(error: MQError): void
}

/** One reader of one partition. */
export interface Feed {
  /** No more records after the batch under way, until `resume`. */
  pause(): void
  resume(): void
  /** Ends it; nothing is told any more. Idempotent. */
  close(): void
}

/** Who a client is, and what he may do. Names of topics, exact or with `*` at the end; nothing is allowed that is not named. */
export interface Identity {
  readonly name: string
  readonly publish?: readonly string[]
  readonly subscribe?: readonly string[]
  /** Keys that he may subscribe to. Default: his own name. */
  readonly keys?: readonly string[]
  /** May see the dashboard's figures. Default false. */
  readonly stats?: boolean
}

/** What `authenticate` is told. */
export interface Credentials {
  readonly transport: Transport
  /** host:port of the client. */
  readonly peer: string
  /** Of the `auth` frame, of `Authorization: Bearer`, or of `?token=` in the address. */
  readonly token: string | undefined
  /** Of the upgrade request; empty for TCP. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Of the upgrade request; '' for TCP. */
  readonly url: string
}
