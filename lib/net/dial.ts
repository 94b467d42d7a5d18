/**
 * Opens a connection: every address of a name in turn, one limit for all of it.
 * Why not Node's own attempts: they give each address 250 ms, too little for a slow TLS listener; here an address gets
 * its fair share of the time that is left. The name is resolved anew on each call (kafka.md W-14).
 * Invariant: when the promise rejects, no socket and no timer is left.
 */
import { promises as dns, type LookupAddress } from 'node:dns'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
import { MQError } from '../errors/index.js'
import { type Clock, systemClock } from '../util/index.js'
import { FrameReader } from './frame-reader.js'
import { SocketTransport } from './socket-transport.js'
import { certificateRefusal, handshakeHint, type TlsTarget } from './tls-failures.js'
import { MIN_TLS_VERSION, type TlsOptions } from './tls-options.js'
import { type Transport, WRITE_BUFFER_BYTES } from './transport.js'

/** Addresses of a name; the default asks the operating system. */
export type Lookup = (host: string) => Promise<readonly LookupAddress[]>

export interface DialOptions {
  /** Name or address; an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** TCP and TLS together, over all addresses. Milliseconds. */
  readonly timeoutMs: number
  /** TCP keep-alive. Milliseconds, 0 = off. */
  readonly keepAliveMs: number
  readonly maxFrameBytes: number
  /** Milliseconds, 0 = never. */
  readonly writeTimeoutMs: number
  /** Present: TLS. */
  readonly tls?: TlsOptions | undefined
  readonly clock?: Clock | undefined
  readonly lookup?: Lookup | undefined
  /** Gives up at once; the promise rejects with CONNECTION_CLOSED. */
  readonly signal?: AbortSignal | undefined
}

const systemLookup: Lookup = (host) => dns.lookup(host, { all: true, verbatim: true })

/**
 * A connected transport, or CONNECTION_FAILED / CONNECTION_TIMEOUT with `context.attempts` per address, or
 * AUTHENTICATION_FAILED when all that stood between was a certificate that one side refuses.
 */
export async function dial(options: DialOptions): Promise<Transport> {
  const clock = options.clock ?? systemClock
  const untilMs = clock.monotonicMs() + options.timeoutMs
  const addresses = await within(options, clock, options.timeoutMs, addressesOf(options))
  const attempts: string[] = []
  let lastError: unknown
  let refusal: MQError | null = null
  for (const [index, address] of addresses.entries()) {
    const leftMs = untilMs - clock.monotonicMs()
    if (leftMs <= 0) break
    try {
      const reader = new FrameReader(options.maxFrameBytes)
      const socket = await openSocket(options, reader, clock, address, leftMs / (addresses.length - index))
      return transportOf(socket, options, reader, clock)
    } catch (error) {
      if (options.signal?.aborted === true) throw error
      attempts.push(`${address}: ${textOf(error)}`)
      lastError = error
      if (error instanceof MQError && error.fatal) refusal = error
    }
  }
  throw refusal?.with({ attempts }) ?? unreachable(options, attempts, lastError)
}

async function addressesOf({ host, port, lookup }: DialOptions): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  try {
    const found = await (lookup ?? systemLookup)(host)
    if (found.length > 0) return found.map(({ address }) => address)
  } catch (error) {
    const text = `the name ${host} cannot be resolved: ${textOf(error)}`
    throw new MQError('CONNECTION_FAILED', text, { host, port }, { cause: error })
  }
  throw new MQError('CONNECTION_FAILED', `the name ${host} has no address`, { host, port })
}

/** `task`, or a rejection when the limit or the caller's patience ends first. */
function within<T>(options: DialOptions, clock: Clock, limitMs: number, task: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { signal } = options
    const abort = () => finish(() => reject(aborted(options)))
    const timer = clock.setTimer(() => finish(() => reject(timedOut(options, limitMs))), limitMs)
    const finish = (settle: () => void) => {
      timer.cancel()
      signal?.removeEventListener('abort', abort)
      settle()
    }
    task.then(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    )
    if (signal?.aborted === true) abort()
    else signal?.addEventListener('abort', abort)
  })
}

async function openSocket(
  options: DialOptions,
  reader: FrameReader,
  clock: Clock,
  address: string,
  limitMs: number,
): Promise<Socket> {
  const socket = startSocket(options, reader, address)
  let isTcpOpen = false
  socket.once('connect', () => {
    isTcpOpen = true
  })
  const connected = new Promise<void>((resolve, reject) => {
    socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => resolve())
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed before it was open')))
  })
  try {
    await within(options, clock, limitMs, connected)
  } catch (error) {
    socket.on('error', () => {}) // It is given up: what it says now changes nothing.
    socket.destroy()
    throw isTcpOpen && options.tls !== undefined ? handshakeFailure(error, options) : error
  }
  // Reset in the very turn in which it connected: its events are past, a transport would wait for them for ever.
  if (socket.destroyed) throw new Error('closed at once')
  socket.removeAllListeners('error')
  socket.removeAllListeners('close')
  return socket
}

function startSocket({ host, port, tls, keepAliveMs }: DialOptions, reader: FrameReader, address: string): Socket {
  const tcp = {
    host: address,
    port,
    noDelay: true,
    keepAlive: keepAliveMs > 0,
    keepAliveInitialDelay: keepAliveMs,
    writableHighWaterMark: WRITE_BUFFER_BYTES,
    onread: reader.onread,
  }
  if (tls === undefined) return connectTcp(tcp)
  // A certificate is checked against the name that was asked for, not against the address it led to.
  const name = tls.servername ?? host
  try {
    return connectTls({
      minVersion: MIN_TLS_VERSION,
      checkServerIdentity: (_address, certificate) => checkServerIdentity(name, certificate),
      ...tls,
      ...tcp,
      // SNI carries names only (RFC 6066).
      servername: isIP(name) === 0 ? name : '',
    })
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new MQError('INVALID_CONFIG', `the TLS settings cannot be used (${code})`, { host, port, tlsCode: code })
  }
}

/** TCP was open, TLS did not come about. */
function handshakeFailure(error: unknown, options: DialOptions): unknown {
  if (error instanceof MQError) return error // Too late, or given up here.
  const refusal = certificateRefusal(error, targetOf(options))
  if (refusal !== null) return refusal
  const hint = handshakeHint(error)
  return hint === '' ? error : new Error(`${textOf(error)}: ${hint}`, { cause: error })
}

function targetOf({ host, port, tls }: DialOptions): TlsTarget {
  return { host, port, remote: addressText(host, port), name: tls?.servername ?? host }
}

function transportOf(socket: Socket, options: DialOptions, reader: FrameReader, clock: Clock): Transport {
  const { maxFrameBytes, writeTimeoutMs, host, port } = options
  const remote = addressText(host, port)
  // With TLS 1.3 a broker looks at our certificate when we are connected already: its refusal is an error of the socket.
  const judge = (error: Error) => (options.tls === undefined ? null : certificateRefusal(error, targetOf(options)))
  return new SocketTransport(socket, { maxFrameBytes, writeTimeoutMs, clock, reader, judge, remote })
}

/** host:port, an IPv6 address in brackets. */
export function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function unreachable({ host, port, timeoutMs }: DialOptions, attempts: readonly string[], cause: unknown): MQError {
  const isLate = cause === undefined || (cause instanceof MQError && cause.is('CONNECTION_TIMEOUT'))
  const text = isLate
    ? `${addressText(host, port)} did not answer within ${timeoutMs} ms`
    : `${addressText(host, port)} cannot be reached: ${attempts.join('; ')}`
  return new MQError(isLate ? 'CONNECTION_TIMEOUT' : 'CONNECTION_FAILED', text, { host, port, attempts }, { cause })
}

function timedOut({ host, port }: DialOptions, limitMs: number): MQError {
  const text = `no connection to ${addressText(host, port)} within ${Math.round(limitMs)} ms`
  return new MQError('CONNECTION_TIMEOUT', text, { host, port, limitMs })
}

function aborted({ host, port }: DialOptions): MQError {
  return new MQError('CONNECTION_CLOSED', `connecting to ${addressText(host, port)} was given up here`, { host, port })
}

function textOf(error: unknown): string {
  if (error instanceof MQError) return error.message
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error)
}
