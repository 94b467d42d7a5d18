/**
 * Settings of a gateway: names, units, defaults. What they do is told in `gateway`, where also `authenticate`, `anonymous`
 * and `stats` have their types.
 */

/** What becomes of a client that reads too slowly. GW-3. */
export type SlowClientPolicy = 'pause' | 'drop' | 'disconnect'

export interface GatewayTlsSettings {
  /** PEM text, with the chain behind it if there is one. */
  readonly cert: string
  readonly key: string
  readonly passphrase?: string | undefined
  /** Whose client certificates are accepted. */
  readonly ca?: string | undefined
  readonly clientCertificate?: 'none' | 'requested' | 'required' | undefined
}

export interface GatewaySettings {
  /** Where browsers connect, `host:port`; also HTTP. Undefined: not at all. */
  readonly websocket: string | undefined
  /** Where TCP clients connect. */
  readonly tcp: string | undefined
  /** Of the upgrade. Default `/mq`. */
  readonly path: string
  /** Pages that may connect, such as `https://chat.example`, or `*`. Default none: no browser may. GW-4. */
  readonly origins: readonly string[]
  readonly tls: GatewayTlsSettings | undefined
  /** Default 'pause'. */
  readonly slowClient: SlowClientPolicy
  /** Topics of a subscription that names only a key. Reading them without a key needs `keys: ['*']`. Default none. */
  readonly keyTopics: readonly string[]
  /** Folder that is served on the websocket address. */
  readonly pages: string | undefined
  /** Serves `/dashboard`. Default false. */
  readonly dashboard: boolean
  /** Both transports together, those who are being authenticated included. Default 10,000. */
  readonly maxClients: number
  /** Longest message of a client. Bytes, default 1 MiB, at least 256. */
  readonly maxFrameBytes: number
  /** Head of an HTTP request. Bytes, default 16,384. */
  readonly maxHeaderBytes: number
  /** Subscriptions of one client, a topic and a key being one. Default 100. */
  readonly maxSubscriptions: number
  /** Requests of one client that are not answered; reading pauses there. Default 100. */
  readonly maxInFlight: number
  /** Of one client; above it reading pauses. 0 = any number (default). */
  readonly publishPerSecond: number
  /** Of one client, whole frames; above it reading pauses. 0 = any number (default). */
  readonly bytesPerSecond: number
  /** Bytes a client may be behind in reading before it is slow. Default 1 MiB. */
  readonly writeBufferBytes: number
  /** Recent records of all partitions, for clients that are behind. Bytes, default 64 MiB. */
  readonly cacheBytes: number
  /** Readers of Kafka for clients that are behind the cache, at one time. Default 16. */
  readonly maxCatchUps: number
  /** Silence after which a client is given up; WebSocket clients are pinged at half of it. Milliseconds, 0 = never, default 60,000. */
  readonly idleMs: number
  /** For `authenticate`, for the first frame of TCP and for the head of HTTP. Milliseconds, default 10,000. */
  readonly authTimeoutMs: number
  /** Longest wait for a client that is being closed, and default of `stop`. Milliseconds, default 5000. */
  readonly closeTimeoutMs: number
}
