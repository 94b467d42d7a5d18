/**
 * The opening sequence: TCP (TLS), ApiVersions, authentication, ready.
 * Why apart from the connection: nothing else may be sent before ready, and the fall-back to version 0 takes a second
 * question or even a second socket. One limit, `dialTimeoutMs`, covers all of it.
 * Invariant: when the promise rejects, no socket and no timer is left. Source: kafka.md W-14, W-16, W-17.
 */
import { MQError } from '../errors/index.js'
import type { DialOptions, Transport } from '../net/index.js'
import {
  type Api,
  ApiVersions,
  brokerError,
  correlationIdOf,
  type DecodedResponseOf,
  decodeResponse,
  encodeRequest,
  type RequestOf,
} from '../protocol/index.js'
import { type Clock, type Deferred, deferred, type RandomSource } from '../util/index.js'
import { ApiRanges } from './api-ranges.js'
import { Connection, type Session } from './connection.js'
import { type BrokerAddress, placeOf } from './failures.js'
import type { ClusterSettings } from './settings.js'

const UNSUPPORTED_VERSION = 35
const SOFTWARE_NAME = 'tandem-mq'
const SOFTWARE_VERSION = '0.1.0'
const LATEST = ApiVersions.client?.max ?? 0

export type Dial = (options: DialOptions) => Promise<Transport>

export interface OpeningSetup {
  readonly settings: ClusterSettings
  readonly clock: Clock
  /** Spreads the renewals of sessions. */
  readonly random: RandomSource
  readonly dial: Dial
  /** Gives up at once. */
  readonly signal: AbortSignal
}

/** A connection that is ready, or CONNECTION_FAILED, CONNECTION_TIMEOUT, AUTHENTICATION_FAILED. */
export async function openConnection(address: BrokerAddress, setup: OpeningSetup): Promise<Connection> {
  const untilMs = setup.clock.monotonicMs() + setup.settings.dialTimeoutMs
  // Brokers before 2.4 may close the socket on a version of ApiVersions they do not know: ask once more with 0.
  const connection = (await attempt(address, setup, untilMs, LATEST)) ?? (await attempt(address, setup, untilMs, 0))
  if (connection === null) throw closesOnApiVersions(address, setup.settings.tls !== undefined)
  return connection
}

/** Null: the socket was closed by the peer while ApiVersions was unanswered. */
async function attempt(
  address: BrokerAddress,
  setup: OpeningSetup,
  untilMs: number,
  version: number,
): Promise<Connection | null> {
  const { settings, clock, signal } = setup
  const timeoutMs = Math.max(1, untilMs - clock.monotonicMs())
  const { host, port } = address
  const { keepAliveMs, maxFrameBytes, writeTimeoutMs, tls } = settings
  const transport = await setup.dial({
    host,
    port,
    timeoutMs,
    keepAliveMs,
    maxFrameBytes,
    writeTimeoutMs,
    tls,
    clock,
    signal,
  })
  const opening = new Opening(transport, settings.clientId)
  const giveUp = () => transport.destroy(givenUp(address))
  if (signal.aborted) giveUp()
  signal.addEventListener('abort', giveUp)
  const timer = clock.setTimer(() => transport.destroy(tooLate(address, settings.dialTimeoutMs)), timeoutMs)
  try {
    const answer = await negotiate(opening, address, version)
    if (answer === null) return null
    const apis = new ApiRanges(answer)
    const session = await authenticated(opening, apis, address, setup)
    return opening.handOver(
      () => new Connection(transport, apis, address, settings, clock, opening.nextCorrelationId, session),
    )
  } catch (error) {
    transport.destroy(error instanceof MQError ? error : givenUp(address))
    throw error instanceof MQError ? error.with(placeOf(address)) : error
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', giveUp)
  }
}

/** Null: nobody asked for authentication. */
async function authenticated(
  opening: Opening,
  apis: ApiRanges,
  address: BrokerAddress,
  { settings, clock, random }: OpeningSetup,
): Promise<Session | null> {
  const { authenticate, dialTimeoutMs } = settings
  if (authenticate === undefined) return null
  const { signal } = opening
  const task = authenticate({ address, apis, signal, request: (api, v, body) => opening.request(api, v, body) })
  const lifetimeMs = await opening.whileOpen(task)
  return { lifetimeMs, renewal: { clock, random, authenticate, dialTimeoutMs } }
}

async function negotiate(
  opening: Opening,
  address: BrokerAddress,
  first: number,
): Promise<DecodedResponseOf<typeof ApiVersions> | null> {
  let version = first
  for (;;) {
    const frame = await opening.exchangeOrClosed(ApiVersions, version, software())
    if (frame === null) return null
    const isRefused = errorCodeOf(frame) === UNSUPPORTED_VERSION
    // A refusal has the form of version 0, whatever was asked.
    const { body } = decodeResponse(ApiVersions, isRefused ? 0 : version, frame)
    if (!isRefused) {
      if (body.errorCode !== 0) throw brokerError(body.errorCode, 'CONNECTION_FAILED', null, placeOf(address))
      return body
    }
    const listed = body.apiKeys.find(({ apiKey }) => apiKey === ApiVersions.key)
    const next = listed === undefined ? 0 : Math.min(LATEST, listed.maxVersion)
    // Each refusal must lead to a lower version, or a broker could keep us asking for ever.
    if (next < 0 || next >= version) throw refusesApiVersions(address, version)
    version = next
  }
}

function software(): RequestOf<typeof ApiVersions> {
  return { clientSoftwareName: SOFTWARE_NAME, clientSoftwareVersion: SOFTWARE_VERSION }
}

/** The error code of an ApiVersions answer stands in the same place in every version. */
function errorCodeOf(frame: Uint8Array): number {
  return frame.length < 6 ? 0 : ((((frame[4] as number) << 8) | (frame[5] as number)) << 16) >> 16
}

/** One request at a time on a socket that is not yet a connection. */
class Opening {
  readonly #transport: Transport
  readonly #clientId: string
  #waiting: Deferred<Uint8Array> | null = null
  #closed: MQError | null = null
  #isClosedByPeer = false
  readonly #end = new AbortController()
  readonly #gone = deferred<never>()
  nextCorrelationId = 0

  constructor(transport: Transport, clientId: string) {
    this.#transport = transport
    this.#clientId = clientId
    transport.onFrame = (frame) => this.#received(frame)
    transport.onClosed = (reason) => this.#ended(reason)
    this.#gone.promise.catch(() => {}) // Only `whileOpen` waits for it.
  }

  /** Aborted when the socket is gone. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** The outcome of a task that may wait for others than this broker; the end of the socket ends the waiting. */
  whileOpen<T>(task: Promise<T>): Promise<T> {
    return Promise.race([task, this.#gone.promise])
  }

  async request<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<DecodedResponseOf<A>> {
    return decodeResponse(api, version, await this.#exchange(api, version, body)).body
  }

  /** The raw answer; null when the peer closed the socket instead of answering. */
  async exchangeOrClosed<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<Uint8Array | null> {
    try {
      return await this.#exchange(api, version, body)
    } catch (error) {
      if (this.#isClosedByPeer) return null
      throw error
    }
  }

  /** Ends the opening: from here on the transport belongs to what `take` makes. */
  handOver<T>(take: () => T): T {
    if (!this.#transport.isOpen)
      throw this.#closed ?? new MQError('CONNECTION_CLOSED', 'the connection ended while it was opened')
    return take()
  }

  async #exchange<A extends Api>(api: A, version: number, body: RequestOf<A>): Promise<Uint8Array> {
    if (this.#closed !== null) throw this.#closed
    const correlationId = this.nextCorrelationId++
    const waiting = deferred<Uint8Array>()
    this.#waiting = waiting
    this.#transport.write(encodeRequest(api, version, correlationId, this.#clientId, body))
    const frame = await waiting.promise
    const got = correlationIdOf(frame)
    if (got !== correlationId) throw wrongCorrelation(api, correlationId, got)
    return frame
  }

  #received(frame: Uint8Array): void {
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting !== null) return waiting.resolve(frame)
    this.#transport.destroy(
      new MQError('CONNECTION_FAILED', 'an answer came that nobody asked for', { reason: 'MALFORMED_FRAME' }),
    )
  }

  #ended(reason: MQError): void {
    this.#closed = reason
    this.#isClosedByPeer = reason.is('CONNECTION_CLOSED') && reason.context['byUs'] !== true
    // A task that waits for an answer hears of it there, and may know better what it means.
    if (this.#waiting === null) this.#gone.reject(reason)
    else this.#waiting.reject(reason)
    this.#waiting = null
    this.#end.abort()
  }
}

export function wrongCorrelation(api: Api, expected: number, got: number): MQError {
  const text = `expected the answer to ${api.name} (correlation id ${expected}), got one with id ${got}`
  return new MQError('CONNECTION_FAILED', text, { reason: 'MALFORMED_FRAME', expected, got })
}

function givenUp(address: BrokerAddress): MQError {
  const context = { ...placeOf(address), byUs: true }
  return new MQError('CONNECTION_CLOSED', `opening a connection to ${address.host} was given up here`, context)
}

function tooLate(address: BrokerAddress, dialTimeoutMs: number): MQError {
  const text = `${address.host}:${address.port} accepted the connection but was not ready within dialTimeoutMs ${dialTimeoutMs}: is it a Kafka listener of this security protocol?`
  return new MQError('CONNECTION_TIMEOUT', text, placeOf(address))
}

function closesOnApiVersions(address: BrokerAddress, isTls: boolean): MQError {
  const guess = isTls ? 'it wants a client certificate (ssl.certFile)' : 'its port speaks TLS (set ssl.enabled)'
  const text = `${address.host}:${address.port} closes the connection on ApiVersions: ${guess}, is not Kafka, older than 0.10, or just stopping`
  return new MQError('CONNECTION_FAILED', text, { ...placeOf(address), reason: 'UNSUPPORTED_VERSION' })
}

function refusesApiVersions(address: BrokerAddress, version: number): MQError {
  const text = `${address.host}:${address.port} refuses ApiVersions ${version} and offers no lower one`
  return new MQError('CONNECTION_FAILED', text, { ...placeOf(address), reason: 'UNSUPPORTED_VERSION', version })
}
