/** What a server and its loop processes say to each other. Everything survives JSON; a connection travels beside its message. */
import type { TlsServerOptions } from '../../acceptor.js'
import type { NetMeasures } from '../measures.js'
import type { ConnectionLimits } from '../options.js'

export type ToLoop =
  | {
      readonly kind: 'begin'
      /** URL. */
      readonly handlerModule: string
      readonly limits: ConnectionLimits
      readonly tls: TlsServerOptions | null
      /** The server was given a protocol, so the module must have one. */
      readonly needsProtocol: boolean
    }
  | { readonly kind: 'connection' }
  | { readonly kind: 'stop'; readonly timeoutMs: number }

export type FromLoop =
  | { readonly kind: 'ready' }
  /** It cannot begin. */
  | { readonly kind: 'refused'; readonly why: string }
  | Report
  | { readonly kind: 'error'; readonly error: ErrorText }

export interface Report {
  readonly kind: 'report'
  /** Connections that were handed over and are gone. */
  readonly gone: number
  readonly measures: NetMeasures
}

/** An MQError as it looks in JSON. */
export interface ErrorText {
  readonly code: string
  readonly message: string
  readonly context: object
}
