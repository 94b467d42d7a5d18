/**
 * One client connection of one broker: requests are taken up one after the other, answers leave in that order.
 * Why one at a time: a real broker mutes a connection until its request is answered, so a delayed answer delays what
 * was pipelined behind it.
 *
 *   socket -> onFrame -> journal -> queue -> faults -> handler -> damage -> socket
 *
 * Invariant: nothing is sent after `close`, and a request is taken up at most once.
 */
import { MQError } from '../errors/index.js'
import { SIZE_BYTES, type Transport } from '../net/index.js'
import {
  type Api,
  ApiVersions,
  apiOf,
  type DecodedRequest,
  decodeRequest,
  decodeRequestHeader,
  encodeResponse,
  Fetch,
  Produce,
  responseHeaderVersion,
  SaslAuthenticate,
  SaslHandshake,
} from '../protocol/index.js'
import { Deque, deferred, runInBackground } from '../util/index.js'
import type { ClusterState } from './cluster-state.js'
import { damaged } from './damage.js'
import type { ActiveFault, Fault } from './faults.js'
import type { FetchSessions } from './fetch-sessions.js'
import { handlerOf, offeredApis, type Reply, servedVersions } from './handler-table.js'
import { namesPartition } from './named-partitions.js'
import { CLOSE, type RequestContext } from './request-context.js'
import type { SaslSession } from './sasl/session.js'

const UNSUPPORTED_VERSION = 35
/** Requests read ahead of the one that is served; a client that pipelines more meets a full socket. */
const READ_AHEAD = 128
/** What a connection may send before it is authenticated. */
const APIS_OF_STRANGERS = new Set([ApiVersions.key, SaslHandshake.key, SaslAuthenticate.key])
/** Kafka: sasl.server.max.receive.size. */
const MAX_STRANGERS_FRAME = 524_288
/** Answers to which `encodeResponse` adds tagged fields of its own at the end. */
const APIS_WITH_TAGGED_TAIL = new Set([Produce.key, Fetch.key, ApiVersions.key])

export interface ConnectionParts {
  readonly cluster: ClusterState
  readonly brokerId: number
  readonly sessions: FetchSessions
  readonly transport: Transport
  /** By certificate, or ANONYMOUS. */
  readonly peerName: string
  readonly sasl: SaslSession | null
  readonly number: number
  readonly onClosed: () => void
}

export class Connection {
  readonly #parts: ConnectionParts
  readonly #queue = new Deque<Uint8Array>()
  readonly #requests = new Deque<DecodedRequest>()
  readonly #goneListeners = new Set<() => void>()
  #isBusy = false
  #isPaused = false
  #isBlackhole = false
  #isClosed = false

  constructor(parts: ConnectionParts, isPaused: boolean) {
    this.#parts = parts
    this.#isPaused = isPaused
    parts.transport.onFrame = (frame) => this.#onFrame(frame)
    parts.transport.onClosed = () => this.#onClosed()
    parts.transport.onDrain = () => {}
    if (isPaused) parts.transport.pause()
  }

  /** A stopped process: nothing is read, so the sender's socket fills up. */
  pause(): void {
    this.#isPaused = true
    this.#parts.transport.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#parts.transport.resume()
    this.#takeWaiting()
    this.#pump()
  }

  close(why: string): void {
    if (this.#isClosed) return
    const { transport, brokerId } = this.#parts
    transport.destroy(new MQError('CONNECTION_CLOSED', `broker ${brokerId} closed the connection: ${why}`, { why }))
    this.#onClosed()
  }

  #onClosed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue.clear()
    this.#requests.clear()
    for (const listener of [...this.#goneListeners]) listener()
    this.#parts.onClosed()
  }

  #onFrame(frame: Uint8Array): void {
    if (this.#isClosed || this.#isBlackhole) return
    if (this.#isPaused || this.#queue.size > 0 || this.#mustWait()) this.#queue.pushBack(frame)
    else this.#arrive(frame)
    this.#pump()
  }

  /** What a frame means while somebody authenticates depends on the answer before it. */
  #mustWait(): boolean {
    const { sasl } = this.#parts
    return sasl?.isSerial === true && (this.#isBusy || this.#requests.size > 0)
  }

  #takeWaiting(): void {
    while (this.#queue.size > 0 && !this.#isClosed && !this.#mustWait())
      this.#arrive(this.#queue.popFront() as Uint8Array)
  }

  /** Reads and notes a request; what cannot be read or is not served closes the connection, as in Kafka. */
  #arrive(frame: Uint8Array): void {
    try {
      this.#admit(frame)
    } catch (error) {
      if (!(error instanceof MQError)) throw error
      this.close(error.message)
    }
  }

  #admit(frame: Uint8Array): void {
    const { cluster, brokerId, number, sasl, peerName } = this.#parts
    if (sasl?.isReady === false && frame.length > MAX_STRANGERS_FRAME)
      return this.close('too large a frame of a stranger')
    if (sasl?.takesBareTokens === true) return this.#takeBareToken(frame, sasl)
    const { apiKey, version, correlationId, clientId } = decodeRequestHeader(frame)
    const span = servedVersions(apiKey, cluster)
    const isServed = span !== undefined && version >= span.min && version <= span.max
    if (!isServed && apiKey !== ApiVersions.key) {
      this.close(`api ${apiOf(apiKey)?.name ?? apiKey} version ${version} is not offered`)
      return
    }
    if (sasl?.isReady === false && !APIS_OF_STRANGERS.has(apiKey)) {
      this.close(`${apiOf(apiKey)?.name ?? apiKey} came before authentication was done`)
      return
    }
    if (apiKey === SaslHandshake.key) sasl?.handshakeArrived()
    const request = isServed ? decodeRequest(frame) : unknownApiVersions(version, correlationId, clientId)
    const { api, body } = request
    cluster.journal.note({
      api: api.name,
      node: brokerId,
      version,
      correlationId,
      clientId,
      body,
      atMs: cluster.clock.now(),
      connection: number,
      principal: sasl === null ? peerName : sasl.principal,
      bytes: frame.length,
    })
    this.#requests.pushBack(request)
    if (this.#requests.size === READ_AHEAD) this.#parts.transport.pause()
  }

  /** After SaslHandshake 0 tokens travel as frames of their own, and a failure has no answer. */
  #takeBareToken(frame: Uint8Array, sasl: SaslSession): void {
    const answer = sasl.authenticate(frame)
    if (answer === null || answer.errorCode !== 0) return this.close('authentication failed')
    const { authBytes } = answer
    const size = Buffer.alloc(SIZE_BYTES)
    size.writeInt32BE(authBytes.length)
    this.#write([size, authBytes])
  }

  #pump(): void {
    while (!this.#isBusy && !this.#isPaused && !this.#isClosed && !this.#isBlackhole) {
      this.#takeWaiting()
      if (this.#requests.size === 0) return
      this.#isBusy = true
      if (this.#requests.size === READ_AHEAD) this.#parts.transport.resume()
      const served = this.#serve(this.#requests.popFront() as DecodedRequest)
      if (served === null) this.#isBusy = false
      else this.#finishLater(served)
    }
  }

  #finishLater(served: Promise<void>): void {
    const task = async () => {
      await served
      this.#isBusy = false
      this.#pump()
    }
    runInBackground('broker request', task, (_name, error) => {
      this.close(String(error))
      queueMicrotask(() => {
        throw error
      })
    })
  }

  /** Null when it is done already: most requests need no promise. */
  #serve(request: DecodedRequest): Promise<void> | null {
    if (this.#parts.sasl?.isOverFor(request.api.key === SaslHandshake.key) === true) {
      this.close('the session is past its lifetime and was not authenticated again')
      return null
    }
    const faults = this.#parts.cluster.faults.take(this.#subjectOf(request))
    if (faults.some(({ fault }) => fault.kind === 'blackhole')) {
      this.#isBlackhole = true
      return null
    }
    if (faults.some(({ fault }) => fault.kind === 'drop' && fault.when === 'before')) {
      this.close('dropped on command before the work')
      return null
    }
    // A bug of this broker is thrown, not answered: it must not look like a fault that somebody ordered.
    const reply = this.#handle(request, faults)
    if (reply instanceof Promise) return reply.then((settled) => this.#answer(request, settled, faults) ?? undefined)
    return this.#answer(request, reply, faults)
  }

  #handle(request: DecodedRequest, faults: readonly ActiveFault[]): Reply | Promise<Reply> {
    const { cluster, brokerId, sessions, transport, sasl } = this.#parts
    const { api, version, clientId, body } = request
    const isUnknownVersion = api.key === ApiVersions.key && body === UNKNOWN_BODY
    if (isUnknownVersion) return { errorCode: UNSUPPORTED_VERSION, apiKeys: apiVersionsOnly(cluster) }
    const context: RequestContext = {
      cluster,
      brokerId,
      version,
      clientId,
      clientHost: `/${transport.remote.replace(/:\d+$/, '')}`,
      sessions,
      sasl,
      faults,
      onGone: (listener) => {
        this.#goneListeners.add(listener)
        return () => this.#goneListeners.delete(listener)
      },
      offered: () => offeredApis(cluster),
    }
    return handlerOf(api.key)(body as never, context)
  }

  #answer(request: DecodedRequest, reply: Reply, faults: readonly ActiveFault[]): Promise<void> | null {
    if (this.#isClosed) return null
    if (reply === CLOSE) {
      this.close('the request is not answered')
      return null
    }
    if (faults.some(({ fault }) => fault.kind === 'drop' && fault.when === 'after')) {
      this.close('dropped on command after the work')
      return null
    }
    if (reply === null) return null
    if (faults.length === 0) {
      this.#write(encodeResponse(request.api, request.version, request.correlationId, reply as never))
      this.#closeIfRefused()
      return null
    }
    return this.#answerFaulty(request, reply, faults)
  }

  async #answerFaulty(request: DecodedRequest, reply: object, active: readonly ActiveFault[]): Promise<void> {
    const throttleTimeMs = active.reduce((sum, { fault }) => sum + (fault.kind === 'throttle' ? fault.ms : 0), 0)
    for (const one of active) await this.#wait(one)
    const body = throttleTimeMs > 0 ? { ...reply, throttleTimeMs } : reply
    const shape = {
      isHeaderFlexible: responseHeaderVersion(request.api, request.version) === 1,
      endsWithNoTags: !APIS_WITH_TAGGED_TAIL.has(request.api.key),
    }
    const faults = active.map(({ fault }) => fault)
    const frame = encodeResponse(request.api, request.version, request.correlationId, body as never)
    this.#writeDamaged(damaged(frame, faults, shape), faults)
    this.#closeIfRefused()
    if (throttleTimeMs > 0) await this.#sleep(throttleTimeMs) // muted after the answer (KIP-219)
  }

  async #wait({ fault, released }: ActiveFault): Promise<void> {
    if (fault.kind === 'delay') await this.#sleep(fault.ms)
    if (fault.kind === 'hold') await this.#orGone(released)
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = deferred<void>()
    const timer = this.#parts.cluster.clock.setTimer(resolve, ms)
    await this.#orGone(promise)
    timer.cancel()
  }

  /** Also settles when the connection ends: nobody waits for an answer that cannot leave. */
  #orGone(event: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#goneListeners.delete(done)
        resolve()
      }
      this.#goneListeners.add(done)
      event.then(done, done)
    })
  }

  #writeDamaged(segments: readonly Uint8Array[], faults: readonly Fault[]): void {
    const cut = faults.find((fault) => fault.kind === 'disconnect')
    if (cut === undefined) {
      this.#write(segments)
      return
    }
    const part = Buffer.concat(segments as Uint8Array[]).subarray(0, cut.afterBytes)
    if (this.#isClosed) return
    if (part.length === 0) this.close('disconnected on command')
    else this.#parts.transport.write([part], () => this.close('disconnected on command'))
  }

  /** A failed authentication is answered first; what was pipelined behind it is not. */
  #closeIfRefused(): void {
    if (this.#parts.sasl?.isFailed !== true || this.#isClosed) return
    this.#requests.clear()
    this.#queue.clear()
    this.#isBlackhole = true
    this.#parts.transport.write([], () => this.close('authentication failed'))
  }

  #write(segments: readonly Uint8Array[]): void {
    if (!this.#isClosed) this.#parts.transport.write(segments)
  }

  #subjectOf({ api, clientId, body }: DecodedRequest) {
    const { cluster, brokerId, sessions } = this.#parts
    return {
      api: api.name,
      node: brokerId,
      clientId,
      names: (topic: string | undefined, partition: number | undefined) =>
        namesPartition(body, topic, partition, cluster.topics) ||
        (api.key === Fetch.key && sessions.wants((body as { sessionId: number }).sessionId, topic, partition)),
    }
  }
}

const UNKNOWN_BODY = {}

/** A version to come: it can be answered (as version 0), not read. */
function unknownApiVersions(version: number, correlationId: number, clientId: string | null): DecodedRequest {
  const api: Api = ApiVersions
  return { api, version: 0, correlationId, clientId, body: UNKNOWN_BODY, trailingBytes: version }
}

/** Since 2.4 the refusal names the range of ApiVersions itself, so that the next attempt can be right (W-17). */
function apiVersionsOnly(cluster: ClusterState) {
  return offeredApis(cluster).filter(({ apiKey }) => apiKey === ApiVersions.key)
}
