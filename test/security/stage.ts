/**
 * Hostile servers on real sockets, and a client of ours in front of them.
 * Every test ends by the same questions: was there one clear MQError within its bound, is a secret in anything that can be
 * printed, is a socket or a timer left? They are asked here, so that no test forgets one.
 */
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, expect } from 'vitest'
import { type ClientConfig, MQError, Producer, type ProducerConfig } from '../../lib/index.js'
import { type Listener, listen, type TlsServerOptions } from '../../lib/net/index.js'
import { InitProducerId } from '../../lib/protocol/index.js'
import { type Clock, type Logger, systemClock } from '../../lib/util/index.js'
import { ScriptedBroker, scriptedState } from '../cluster/scripted-broker.js'
import { makeAuthority } from '../support/certificates.js'

export const USER = 'alice'
export const PASSWORD = 'correct horse, battery+staple/100%'
export const TOKEN = 'secret.token-of_alice~1234567890'
/** In which one dial may take; what has to be bounded by it is. */
export const DIAL_MS = 400
/** Generous beyond the limit: a busy machine is no defect. */
export const BOUND_MS = 5_000

export const authority = await makeAuthority()
export const server = await authority.issue({ hosts: ['127.0.0.1', 'localhost'] })

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
export function atEnd(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup)
}

/** Real time, and a list of the timers that have not ended. */
export class CountedClock implements Clock {
  readonly #pending = new Set<object>()
  readonly now = systemClock.now
  readonly monotonicMs = systemClock.monotonicMs
  readonly defer = systemClock.defer

  get pendingTimers(): number {
    return this.#pending.size
  }

  setTimer(task: () => void, delayMs: number) {
    const mark = {}
    this.#pending.add(mark)
    const timer = systemClock.setTimer(() => {
      this.#pending.delete(mark)
      task()
    }, delayMs)
    return {
      cancel: () => {
        this.#pending.delete(mark)
        timer.cancel()
      },
    }
  }
}

/** A broker that does as the test says, listening for real. */
export interface HostileBroker {
  readonly broker: ScriptedBroker
  readonly listener: Listener
  readonly address: string
}

/** It names itself as the leader of the only partition of `orders`. */
export async function hostileBroker(tls?: TlsServerOptions): Promise<HostileBroker> {
  const state = scriptedState()
  const broker = new ScriptedBroker(state)
  const listener = await listen({ host: '127.0.0.1', port: 0, maxFrameBytes: 10_000_000, tls }, broker.accept)
  atEnd(() => listener.close())
  state.brokers.push({ nodeId: 1, host: '127.0.0.1', port: listener.port })
  state.topics.set('orders', { topicId: 'AAAAAAAAAAAAAAAAAAAAAQ', partitions: [{ leaderId: 1, leaderEpoch: 5 }] })
  broker.on(InitProducerId, (request) => request.reply({ errorCode: 0, producerId: 1n, producerEpoch: 0 }))
  return { broker, listener, address: `127.0.0.1:${listener.port}` }
}

/** A server without any protocol; it keeps every byte that came. */
export class RawServer {
  readonly received: Buffer[] = []
  accepted = 0
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  port = 0

  private constructor(onSocket: (socket: Socket) => void) {
    this.#server = createTcpServer((socket) => {
      this.accepted++
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('data', (chunk: Buffer) => this.received.push(chunk))
      onSocket(socket)
    })
  }

  static async start(onSocket: (socket: Socket) => void): Promise<RawServer> {
    const made = new RawServer(onSocket)
    await new Promise<void>((resolve) => made.#server.listen(0, '127.0.0.1', resolve))
    made.port = (made.#server.address() as { port: number }).port
    atEnd(() => made.close())
    return made
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Everything that came, in order of arrival. */
  get bytes(): Buffer {
    return Buffer.concat(this.received)
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

export type Security = Pick<ClientConfig, 'brokers' | 'ssl' | 'sasl' | 'connection'>

/** A client of ours, and everything it ever said. */
export class Victim {
  readonly producer: Producer
  readonly clock = new CountedClock()
  readonly said: unknown[] = []
  readonly #secrets: readonly string[]

  constructor(security: Security, more: Partial<ProducerConfig> = {}) {
    this.#secrets = security.sasl === undefined ? [] : 'token' in security.sasl ? [TOKEN] : [PASSWORD]
    const log = (message: string, context?: object) => void this.said.push(message, context)
    const logger: Logger = { debug: log, info: log, warn: log, error: log }
    const connection = { dialTimeoutMs: DIAL_MS, readTimeoutMs: 1000, maxRetries: 0, ...security.connection }
    const config = { ...more, ...security, connection, logger, logLevel: 'debug' } as ProducerConfig
    this.producer = new Producer(config, { clock: this.clock })
    this.producer.on('error', (error) => void this.said.push(error))
    this.producer.on('warning', (warning) => void this.said.push(warning))
    atEnd(() => this.close())
  }

  /** The one MQError that connecting ends with, within its bound. */
  async refusal(): Promise<MQError> {
    const startedMs = performance.now()
    const error = await this.producer.connect().then(
      () => expect.fail('it connected to a hostile server'),
      (reason: unknown) => reason,
    )
    expect(performance.now() - startedMs).toBeLessThan(BOUND_MS)
    expect(error).toBeInstanceOf(MQError)
    this.said.push(error)
    return error as MQError
  }

  /** Nothing is left, and nothing was told that is nobody's business. */
  async close(): Promise<void> {
    await this.producer.close({ timeoutMs: 1_000 }).catch((error: unknown) => void this.said.push(error))
    this.said.push(this.producer.getMetrics(), this.producer.config)
    expect(this.clock.pendingTimers, 'timers that were left').toBe(0)
    const { connectionsCreated, connectionsClosed, totalConnections } = this.producer.connectionStats()
    expect([totalConnections, connectionsCreated - connectionsClosed], 'sockets that were left').toEqual([0, 0])
    for (const secret of this.#secrets) expectNoSecrets(this.said, secret)
  }
}

/** Codes of an error and of its causes: connecting to a cluster sums up what became of its addresses. */
export function codesOf(error: unknown): string[] {
  const codes: string[] = []
  for (let at = error; at instanceof MQError; at = at.cause) codes.push(at.code)
  return codes
}

/** In any of the forms in which a server might say them back. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  // The whole message of PLAIN or OAUTHBEARER: a secret is not found in its base64 by looking for its own.
  const message = secret === PASSWORD ? `\0${USER}\0${secret}` : `n,,\x01auth=Bearer ${secret}\x01\x01`
  return [
    secret,
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    Buffer.from(message).toString('base64'),
  ]
}

export function expectNoSecrets(said: unknown, secret: string): void {
  const text = inspect(said, { depth: 12, maxStringLength: null, maxArrayLength: null, breakLength: 1e6 })
  for (const form of formsOf(secret)) {
    const at = text.indexOf(form)
    if (at >= 0) expect.fail(`the client said ${form}: ${text.slice(Math.max(0, at - 200), at + form.length + 20)}`)
  }
}
