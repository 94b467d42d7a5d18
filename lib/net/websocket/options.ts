/**
 * What users set about WebSockets, and its complete form.
 * Invariant: settings are checked once; inside nothing is optional.
 */
import { MQError } from '../../errors/index.js'
import { type Clock, systemClock } from '../../util/index.js'
import type { Refusal } from './refusal.js'
import { isToken } from './tokens.js'
import type { Upgraded, UpgradeRequest, WebSocketConnection } from './types.js'

/** Of a connection whose upgrade is done. */
export interface WebSocketFramesOptions {
  /** A message over all its fragments; above it the connection is closed with 1009. Bytes, default 1 MiB, minimum 1. GW-2. */
  readonly maxPayloadBytes?: number
  /** How long a peer may take to answer our close frame. Milliseconds, default 5000, minimum 1. */
  readonly closeTimeoutMs?: number
  /** What `upgrade()` gave, for `webSocketOf(c)`. Of one connection: its protocol object is its own then. */
  readonly upgraded?: Upgraded
  readonly clock?: Clock
}

/** Of the upgrade. */
export interface HandshakeOptions {
  /** Names this server speaks (RFC 6455 section 1.9). The first of the client's list that is here is chosen. Default none. */
  readonly subprotocols?: readonly string[]
  /** Origins of pages that may connect, such as `https://example.org`; others get 403. Default: all. GW-4. */
  readonly origins?: readonly string[]
  /** Refuses a request that is right in itself, for example with 401 or 404; undefined accepts. GW-4. */
  readonly onUpgrade?: (request: UpgradeRequest) => Refusal | undefined
}

export interface WebSocketOptions extends Omit<WebSocketFramesOptions, 'upgraded'>, HandshakeOptions {
  /** Request line and header fields; above it 431. Bytes, default 16,384, minimum 256. */
  readonly maxHeaderBytes?: number
  /** From the connection to its complete request; then 408. Milliseconds, default 10,000, minimum 1. */
  readonly handshakeTimeoutMs?: number
  /** The upgrade is done: from here on messages can be sent. */
  readonly onOpen?: (c: WebSocketConnection) => void
}

export interface HandshakeSettings {
  readonly subprotocols: readonly string[]
  readonly origins: readonly string[] | null // lower case; null = all
  readonly onUpgrade: ((request: UpgradeRequest) => Refusal | undefined) | undefined
}

export interface FrameSettings {
  readonly maxPayloadBytes: number
  readonly closeTimeoutMs: number
  readonly upgraded: Upgraded | undefined
  readonly clock: Clock
}

const MAX_PAYLOAD_BYTES = 1024 * 1024
const CLOSE_TIMEOUT_MS = 5000
const MAX_HEADER_BYTES = 16 * 1024
const SMALLEST_HEADER_BYTES = 256
const HANDSHAKE_TIMEOUT_MS = 10_000

export function frameSettings(options: WebSocketFramesOptions): FrameSettings {
  return {
    maxPayloadBytes: whole('maxPayloadBytes', options.maxPayloadBytes ?? MAX_PAYLOAD_BYTES, 1),
    closeTimeoutMs: whole('closeTimeoutMs', options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS, 1),
    upgraded: options.upgraded,
    clock: options.clock ?? systemClock,
  }
}

export function handshakeSettings({ subprotocols = [], origins, onUpgrade }: HandshakeOptions): HandshakeSettings {
  const bad = subprotocols.find((name) => !isToken(name))
  if (bad !== undefined)
    throw new MQError('INVALID_CONFIG', `subprotocols: ${JSON.stringify(bad)} is no token`, { bad })
  return { subprotocols, origins: origins?.map((origin) => origin.toLowerCase()) ?? null, onUpgrade }
}

export function headSettings(options: WebSocketOptions): { maxHeaderBytes: number; handshakeTimeoutMs: number } {
  return {
    maxHeaderBytes: whole('maxHeaderBytes', options.maxHeaderBytes ?? MAX_HEADER_BYTES, SMALLEST_HEADER_BYTES),
    handshakeTimeoutMs: whole('handshakeTimeoutMs', options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS, 1),
  }
}

function whole(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new MQError('INVALID_CONFIG', `${name} must be a whole number of at least ${least}, got ${value}`, {
    [name]: value,
  })
}
