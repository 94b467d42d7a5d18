/**
 * One client, whatever its transport and format: who it is, what it asks, what it is answered. GW-1, GW-3, GW-4.
 * Why limits by not reading: what is not read costs the client's memory, not ours, and nothing is refused. The connection
 * stops reading above `maxInFlight` answers owed (each is a promise of `received`) and above `writeBufferBytes` of answers
 * that the client does not take; the session stops it while it authenticates and while the client is too fast.
 * Invariants: every publish gets exactly one `ack` or `error`, unless the client is gone; nothing is published twice; a
 * frame that cannot be understood ends nothing but itself.
 */
import { findMQError, MQError } from '../errors/index.js'
import type { FeedClient } from './feed/types.js'
import { decodeFrame } from './frames/decode.js'
import { frameBytes, type Wire, wireOf } from './frames/wire.js'
import type { ClientFacts, Link, Onlooker, SessionHost } from './host.js'
import { Pace } from './pace.js'
import type { Permissions } from './permissions.js'
import {
  alreadyAuthenticated,
  authenticatedLate,
  forbidden,
  isRefusal,
  mustAuthenticate,
  noStats,
  notAdmitted,
  slow,
  stopping,
} from './refusals.js'
import { Subscriptions } from './subscriptions.js'
import { asMQError, backendErrorFrame, errorFrame, isFaultOfClient } from './told.js'
import type { ClientFrame, Credentials, Format, FrameId, PublishOptions, ServerFrame, Transport } from './types.js'

type Publish = Extract<ClientFrame, { type: 'publish' }>
type Subscribe = Extract<ClientFrame, { type: 'subscribe' }>
type Unsubscribe = Extract<ClientFrame, { type: 'unsubscribe' }>

export interface SessionParts {
  readonly link: Link
  readonly transport: Transport
  readonly host: SessionHost
  /** Of what is said before the client has said something. */
  readonly format: Format
  /** Null: it has to say who it is. */
  readonly permissions: Permissions | null
  /** Of the upgrade request. */
  readonly request?: Pick<Credentials, 'headers' | 'url'>
}

export class Session implements FeedClient, Onlooker {
  readonly transport: Transport
  /** When it was last heard of. Monotonic milliseconds. */
  heardAtMs: number
  readonly #link: Link
  readonly #host: SessionHost
  readonly #request: Pick<Credentials, 'headers' | 'url'>
  readonly #subscriptions: Subscriptions
  readonly #pace: Pace
  #wire: Wire
  #hasSpoken = false
  #permissions: Permissions | null
  #owed = 0 // answers
  #holds = 0 // reasons why reading pauses
  #timer: { stop(): void } | null = null // until it has said who it is
  #pause: { stop(): void } | null = null // until what it sent too fast is made up for
  #isLeaving = false
  #isGone = false

  constructor({ link, transport, host, format, permissions, request }: SessionParts) {
    this.transport = transport
    this.#link = link
    this.#host = host
    this.#request = request ?? { headers: {}, url: '' }
    this.#wire = wireOf(transport, format)
    this.#permissions = permissions
    this.#subscriptions = new Subscriptions(this, host)
    this.heardAtMs = host.clock.monotonicMs()
    this.#pace = new Pace(host.options, this.heardAtMs)
  }

  get facts(): ClientFacts {
    return {
      id: this.#link.id,
      name: this.#permissions?.name ?? '',
      transport: this.transport,
      peer: this.#link.peerAddr,
    }
  }

  /** We owe it something, or do not read: its silence says nothing. */
  get isHeldBack(): boolean {
    return this.#owed > 0 || this.#holds > 0 || !this.isWritable
  }

  // Life

  /** The connection is open. */
  begin(): void {
    if (this.#permissions !== null) this.#welcome(this.#permissions)
    else this.#timer = this.#host.runAfter(this.#host.options.authTimeoutMs, () => this.#lateForAuthentication())
  }

  /** One frame. What it gives settles when the frame is answered. */
  received(payload: Buffer, format: Format): Promise<void> | undefined {
    this.#host.traffic.in++
    this.heardAtMs = this.#host.clock.monotonicMs()
    if (!this.#hasSpoken) {
      this.#hasSpoken = true
      this.#wire = wireOf(this.transport, format)
    }
    const frame = this.#decoded(payload, format)
    const waitMs = this.#pace.take(frame?.type === 'publish' ? 1 : 0, payload.length, this.heardAtMs)
    const answered = frame === null ? undefined : this.#take(frame)
    if (waitMs === 0) return answered
    const held = this.#holdFor(waitMs)
    return answered === undefined ? held : Promise.all([answered, held]).then(() => {})
  }

  /** Everything it was sent is taken. */
  drained(): void {
    this.#subscriptions.drained()
  }

  /** Nothing more is read; what is owed is given, then it is told to go. */
  leave(): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    this.#hold()
    // Who has not come in yet is owed nothing.
    if (this.#permissions === null) this.end(stopping())
    else this.#leaveWhenDone()
  }

  /** It is told why, and ended. */
  end(error: MQError): void {
    this.#link.close(error)
  }

  closed(): void {
    this.#isGone = true
    this.#timer?.stop()
    this.#pause?.stop()
    this.#subscriptions.close()
    this.#host.unwatchStats(this)
  }

  /** The last words to a TCP client; a WebSocket has close codes. */
  farewell(error: Error): Buffer {
    const known = findMQError(error)
    const isOurs = known === undefined || known.context.reason === 'CALLBACK'
    if (isOurs) return frameBytes(this.#wire, errorFrame(internal(), undefined))
    return frameBytes(this.#wire, errorFrame(known, idOf(known)))
  }

  // FeedClient

  get wire(): Wire {
    return this.#wire
  }

  get isWritable(): boolean {
    return this.#link.connected && this.#link.writeBufferLength <= this.#host.options.writeBufferBytes
  }

  sendFrames(bytes: Buffer, records: number): void {
    if (!this.#link.connected) return
    this.#host.traffic.out += records
    this.#link.sendPacked(bytes)
  }

  gap(topic: string, partition: number, from: number, to: number, reason: 'dropped' | 'deleted'): void {
    this.#say({ type: 'gap', topic, partition, from, to, reason })
  }

  failed(topic: string, error: MQError): void {
    this.#subscriptions.ended(topic)
    this.#tellOperator(error)
    const what = `the subscription of topic ${topic} has ended`
    this.#say(backendErrorFrame(error.withContext('topic', topic), undefined, what))
  }

  tooSlow(): void {
    this.end(slow(this.#host.options.writeBufferBytes))
  }

  // Onlooker

  showStats(id: FrameId | undefined, stats: unknown): void {
    this.#say({ type: 'stats', id, stats })
  }

  // Frames

  #decoded(payload: Buffer, format: Format): ClientFrame | null {
    try {
      return decodeFrame(payload, format)
    } catch (thrown) {
      const error = asMQError(thrown, 'the frame could not be read')
      // Whoever must say who he is gets one attempt, and hears of it as the last words.
      if (this.#permissions === null && this.#host.options.anonymous === null) this.end(error)
      else this.#refuse(error, idOf(error))
      return null
    }
  }

  #take(frame: ClientFrame): Promise<void> | undefined {
    const permissions = this.#permissions ?? this.#withoutName(frame)
    if (frame.type === 'auth') return this.#authenticate(frame.token, frame.id)
    if (permissions === null) return undefined
    switch (frame.type) {
      case 'publish':
        return this.#publish(frame, permissions)
      case 'subscribe':
        return this.#subscribe(frame, permissions)
      case 'unsubscribe':
        return this.#unsubscribe(frame)
      case 'ping':
        this.#say({ type: 'pong', id: frame.id })
        return undefined
      case 'stats':
        this.#stats(frame.isOn, frame.id, permissions)
        return undefined
    }
  }

  #publish(frame: Publish, permissions: Permissions): Promise<void> | undefined {
    const { topic, id } = frame
    if (!permissions.mayPublish(topic)) {
      this.#refuse(forbidden('publish', topic), id)
      return undefined
    }
    this.#host.traffic.unacknowledged++
    return this.#owe(async () => {
      try {
        const { partition, offset, timestamp } = await this.#host.backend.publish(topic, frame.value, optionsOf(frame))
        this.#say({ type: 'ack', id, topic, partition, offset, timestamp })
      } catch (error) {
        this.#failed(error, id, `the record for topic ${topic} was not published`)
      } finally {
        this.#host.traffic.unacknowledged--
        this.#host.settled()
      }
    })
  }

  #subscribe(frame: Subscribe, permissions: Permissions): Promise<void> {
    return this.#owe(async () => {
      try {
        const topics = await this.#subscriptions.subscribe(frame, permissions)
        this.#say({ type: 'subscribed', id: frame.id, topics })
      } catch (error) {
        // What somebody who is gone does not read is nobody's loss.
        if (!this.#isGone) this.#failed(error, frame.id, 'subscribing failed')
      }
    })
  }

  #unsubscribe(frame: Unsubscribe): Promise<void> {
    return this.#owe(async () => {
      try {
        await this.#subscriptions.unsubscribe(frame)
        this.#say({ type: 'unsubscribed', id: frame.id })
      } catch (error) {
        if (!this.#isGone) this.#failed(error, frame.id, 'unsubscribing failed')
      }
    })
  }

  #stats(isOn: boolean, id: FrameId | undefined, permissions: Permissions): void {
    if (!permissions.maySeeStats) this.#refuse(noStats(), id)
    else if (isOn) this.#host.watchStats(this, id)
    else {
      this.#host.unwatchStats(this)
      this.#say({ type: 'unsubscribed', id })
    }
  }

  // Who it is

  /** A first frame that is no `auth`: enough where nobody has to say who he is. */
  #withoutName(frame: ClientFrame): Permissions | null {
    if (frame.type === 'auth') return null
    const { anonymous } = this.#host.options
    if (anonymous !== null) return this.#admit(anonymous)
    this.end(mustAuthenticate())
    return null
  }

  #authenticate(token: string, id: FrameId | undefined): Promise<void> | undefined {
    const known = this.#permissions
    if (known !== null && !known.isAnonymous) {
      this.#refuse(alreadyAuthenticated(known.name), id)
      return undefined
    }
    // What follows waits until it is known who says it.
    this.#hold()
    return this.#owe(async () => {
      const { transport, peer } = this.facts
      const verdict = await this.#host.admission.judge({ transport, peer, token, ...this.#request })
      if (!this.#isGone && !this.#isLeaving) {
        if (typeof verdict === 'string') this.end(notAdmitted())
        else this.#admit(verdict)
      }
      this.#release()
    })
  }

  #admit(permissions: Permissions): Permissions {
    this.#timer?.stop()
    this.#timer = null
    this.#permissions = permissions
    this.#welcome(permissions)
    return permissions
  }

  #welcome({ name }: Permissions): void {
    const { maxFrameBytes, maxInFlight, maxSubscriptions, idleMs } = this.#host.options
    const limits = { maxFrameBytes, maxInFlight, maxSubscriptions, idleMs }
    this.#say({ type: 'welcome', name, version: 1, limits })
    this.#host.admitted(this.facts)
  }

  #lateForAuthentication(): void {
    this.end(authenticatedLate(this.#host.options.authTimeoutMs))
  }

  // Answers

  /** Everything it is told goes through here or `sendFrames`. A client that is gone is told nothing. */
  #say(frame: ServerFrame): void {
    if (!this.#link.connected) return
    this.#host.traffic.out++
    this.#link.sendPacked(frameBytes(this.#wire, frame))
  }

  /** The client's own fault, in our words. */
  #refuse(error: MQError, id: FrameId | undefined): void {
    this.#say(errorFrame(error, id))
  }

  /** What a request came to. Our own refusals are spoken plainly, what lies behind the gateway is not shown. */
  #failed(thrown: unknown, id: FrameId | undefined, what: string): void {
    const error = asMQError(thrown, what)
    if (isRefusal(error)) return this.#refuse(error, id)
    this.#tellOperator(error)
    this.#say(backendErrorFrame(error, id, what))
  }

  /** Of a client that is gone also its own faults: nobody else hears of a record that was not published. */
  #tellOperator(error: MQError): void {
    if (!this.#isGone && isFaultOfClient(error)) return
    this.#host.warn(error.with({ peer: this.#link.peerAddr, client: this.facts.name }))
  }

  async #owe(work: () => Promise<void>): Promise<void> {
    this.#owed++
    try {
      await work()
    } finally {
      this.#owed--
      this.#leaveWhenDone()
    }
  }

  #leaveWhenDone(): void {
    if (this.#isLeaving && this.#owed === 0) this.end(stopping())
  }

  // Reading

  #hold(): void {
    if (this.#holds++ === 0) this.#link.pause()
  }

  #release(): void {
    if (--this.#holds === 0 && this.#link.connected) this.#link.resume()
  }

  #holdFor(ms: number): Promise<void> {
    this.#hold()
    return new Promise((resolve) => {
      this.#pause = this.#host.runAfter(ms, () => {
        this.#release()
        resolve()
      })
    })
  }
}

function optionsOf({ key, headers, partition, timestamp }: Publish): PublishOptions {
  return {
    key,
    headers,
    ...(partition === undefined ? {} : { partition }),
    ...(timestamp === undefined ? {} : { timestamp }),
  }
}

function idOf(error: MQError): FrameId | undefined {
  return error.context.id as FrameId | undefined
}

function internal(): MQError {
  return new MQError('CONNECTION_CLOSED', 'the gateway failed, and ends this connection')
}
