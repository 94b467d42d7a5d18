/**
 * What a server can be told, and what it is when it was told nothing. NT-1, NT-2, NT-6, NT-7.
 * Why here and not in a table of `config`: `net` stands beside it, and the values are few.
 * Invariant: what comes out of `resolveOptions` is complete, frozen and in range.
 */
import { MQError } from '../../errors/index.js'
import { type Clock, type Logger, silentLogger, systemClock } from '../../util/index.js'
import type { TlsServerOptions } from '../acceptor.js'
import { type LoadBalance, roundRobin } from './balance.js'
import { rawProtocol } from './protocols/raw.js'
import type { Protocol } from './types.js'

/** Limits of one connection: also what a loop process is told. */
export interface ConnectionLimits {
  /** Bytes written and not taken from which `send` says false and reading pauses. Default 1 MiB, at least 1. */
  readonly writeBufferBytes: number
  /** Longest message, default 100 MiB. A longer one closes its connection. Protocols with a limit of their own keep it, too. */
  readonly maxFrameBytes: number
  /** Messages of one connection whose answer is still a promise; reading pauses there. Default 1024, at least 1. */
  readonly maxPendingMessages: number
  /** Milliseconds without a byte read or written after which a connection is closed; 0 = never (default). */
  readonly idleMs: number
  /** Milliseconds in which a message that began must be complete; 0 = any time (default). Ends what sends half a frame and waits. */
  readonly frameTimeoutMs: number
  /** Longest wait of a connection that is being closed: for its bytes to leave and for the peer's end. Milliseconds, default 5000. */
  readonly closeTimeoutMs: number
  /** Small writes leave at once. Default true. */
  readonly noDelay: boolean
}

export interface ServerOptions<Ctx = undefined, In = Buffer, Out = Uint8Array | string>
  extends Partial<ConnectionLimits> {
  /** `host:port`, or `:port` for every interface; port 0 = any free one. An IPv6 host in brackets. Default `:1388`. */
  readonly address?: string
  /** Default: bytes as they come. */
  readonly protocol?: Protocol<Ctx, In, Out>
  /** Loop processes: 1 = this process (default), 0 = one per core. More than 1 need `handlerModule`. */
  readonly numLoops?: number
  /** Path or file URL of a module that exports a handler as default, and `protocol` if it is not raw bytes. */
  readonly handlerModule?: string | URL
  /** Which loop gets the next connection. Default `roundRobin()`. */
  readonly loadBalance?: LoadBalance
  /** Node arguments of loop processes. Default: those of this process. */
  readonly loopArguments?: readonly string[]
  /** Connections at most; one more is closed at once and counted. Default Infinity. */
  readonly maxConnections?: number
  /** Lets several processes listen on one port (Node >= 22.12); else a `warning`. Default false. */
  readonly reusePort?: boolean
  readonly tls?: TlsServerOptions
  readonly clock?: Clock
  /** Hears errors and warnings that nobody listens to. Default: silent. */
  readonly logger?: Logger
}

export interface ResolvedServerOptions<Ctx = unknown, In = unknown, Out = unknown> extends ConnectionLimits {
  readonly address: string
  /** Of `address`; null = every interface. */
  readonly host: string | null
  readonly port: number
  readonly protocol: Protocol<Ctx, In, Out>
  readonly numLoops: number
  readonly handlerModule: string | null
  readonly loadBalance: LoadBalance
  readonly loopArguments: readonly string[]
  readonly maxConnections: number
  readonly reusePort: boolean
  readonly tls: TlsServerOptions | null
  readonly clock: Clock
  readonly logger: Logger
}

/** What a socket reads ahead while its connection pauses: one read. The limit of its writes is `writeBufferBytes`, not Node's. */
export const READ_AHEAD_BYTES = 64 * 1024

const DEFAULT_LIMITS: ConnectionLimits = {
  writeBufferBytes: 1024 * 1024,
  maxFrameBytes: 100 * 1024 * 1024,
  maxPendingMessages: 1024,
  idleMs: 0,
  frameTimeoutMs: 0,
  closeTimeoutMs: 5000,
  noDelay: true,
}

/** Of the numbers; the upper ends are those of a timer and of an array of bytes. */
const RANGES = {
  writeBufferBytes: [1, Number.MAX_SAFE_INTEGER],
  maxFrameBytes: [1, 2 ** 31],
  maxPendingMessages: [1, Number.MAX_SAFE_INTEGER],
  idleMs: [0, 2 ** 31 - 1],
  frameTimeoutMs: [0, 2 ** 31 - 1],
  closeTimeoutMs: [0, 2 ** 31 - 1],
  numLoops: [0, 1024],
} as const

/** Complete options. Throws INVALID_CONFIG naming the field. `cores` stands for numLoops 0. */
export function resolveOptions<Ctx, In, Out>(
  given: ServerOptions<Ctx, In, Out>,
  cores: number,
): ResolvedServerOptions<Ctx, In, Out> {
  const address = given.address ?? ':1388'
  const numLoops = whole('numLoops', given.numLoops ?? 1) || cores
  if (numLoops > 1 && given.handlerModule === undefined)
    throw invalid(
      'handlerModule',
      `a module whose default export is the handler, because numLoops is ${numLoops}`,
      undefined,
    )
  return Object.freeze({
    ...limitsOf(given),
    ...parseAddress(address),
    address,
    protocol: given.protocol ?? (rawProtocol() as unknown as Protocol<Ctx, In, Out>),
    numLoops,
    handlerModule: given.handlerModule === undefined ? null : String(given.handlerModule),
    loadBalance: given.loadBalance ?? roundRobin(),
    loopArguments: Object.freeze([...(given.loopArguments ?? process.execArgv)]),
    maxConnections: maxConnectionsOf(given.maxConnections),
    reusePort: given.reusePort ?? false,
    tls: given.tls ?? null,
    clock: given.clock ?? systemClock,
    logger: given.logger ?? silentLogger,
  })
}

function limitsOf(given: Partial<ConnectionLimits>): ConnectionLimits {
  const of = (name: Exclude<keyof ConnectionLimits, 'noDelay'>) => whole(name, given[name] ?? DEFAULT_LIMITS[name])
  return {
    writeBufferBytes: of('writeBufferBytes'),
    maxFrameBytes: of('maxFrameBytes'),
    maxPendingMessages: of('maxPendingMessages'),
    idleMs: of('idleMs'),
    frameTimeoutMs: of('frameTimeoutMs'),
    closeTimeoutMs: of('closeTimeoutMs'),
    noDelay: given.noDelay ?? DEFAULT_LIMITS.noDelay,
  }
}

function whole(name: keyof typeof RANGES, value: number): number {
  const [least, most] = RANGES[name]
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw invalid(name, `a whole number from ${least} to ${most}`, value)
}

function maxConnectionsOf(value = Number.POSITIVE_INFINITY): number {
  if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value >= 1)) return value
  throw invalid('maxConnections', 'a whole number from 1, or Infinity', value)
}

/** `host:port`, `:port`, `[v6]:port`. */
function parseAddress(address: string): { host: string | null; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  if (match === null || port > 65_535)
    throw invalid('address', 'host:port, :port or [v6]:port with a port to 65535', address)
  return { host: match[1] ?? (match[2] || null), port }
}

function invalid(path: string, expected: string, got: unknown): MQError {
  return new MQError('INVALID_CONFIG', `${path}: expected ${expected}, got ${String(got)}`, { path })
}
