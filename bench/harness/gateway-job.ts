/** What the processes of the gateway's benchmark ask of each other. Each question has one answer. */

export type Wire = 'websocket' | 'tcp'
export type WireFormat = 'json' | 'protobuf'

/** What is read, and how. */
export interface GatewayCase {
  readonly topic: string
  readonly partitions: number
  readonly valueBytes: number
  readonly wire: Wire
  readonly format: WireFormat
}

/** Broker, unless there is one, and publisher. */
export type ToSource =
  | { readonly kind: 'start'; readonly brokers: readonly string[] | null; readonly what: GatewayCase }
  | { readonly kind: 'publish'; readonly perSecond: number; readonly milliseconds: number }

export interface SourceStarted {
  readonly brokers: readonly string[]
}

export interface PublishDone {
  /** Acknowledged by Kafka. */
  readonly published: number
  /** By partition: the number that the next record will have. */
  readonly ends: readonly number[]
  readonly firstUs: number
  readonly lastUs: number
}

export type ToGateway =
  | {
      readonly kind: 'start'
      readonly brokers: readonly string[]
      readonly wire: Wire
      readonly cacheBytes: number
      readonly writeBufferBytes: number
    }
  | { readonly kind: 'figures' }
  | { readonly kind: 'begin' }

export interface GatewayStarted {
  readonly port: number
}

export interface GatewayFigures {
  readonly cpuMicroseconds: number
  readonly rssBytes: number
  /** Since `begin`, looked at every 20 ms. */
  readonly peakRssBytes: number
  readonly dropped: number
  /** Warnings and errors since the start. */
  readonly troubles: readonly string[]
}

export type ToClients =
  | {
      readonly kind: 'connect'
      readonly port: number
      readonly clients: number
      readonly silent: number
      readonly what: GatewayCase
    }
  | { readonly kind: 'begin'; readonly sampleEvery: number }
  /** Answered when all have what `ends` says, those that do not read excepted, or when nothing came for `silentMs`. */
  | { readonly kind: 'until'; readonly ends: readonly number[]; readonly silentMs: number }
  /** Those that did not read begin to. */
  | { readonly kind: 'read' }

export interface Heard {
  /** Since `begin`. */
  readonly delivered: number
  /** Numbers that were passed over, or had not come at the end. */
  readonly lost: number
  /** Numbers that had come, or been passed over, before. */
  readonly again: number
  /** Errors, gaps, connections that ended. */
  readonly troubles: readonly string[]
  /** Milliseconds from the call that published to its arrival, of every `sampleEvery`-th. */
  readonly samples: readonly number[]
  readonly lastUs: number
  /** Of the subscribers' process, since `begin`. */
  readonly cpuMicroseconds: number
}

/** One clock for all processes of a machine. Microseconds. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}
