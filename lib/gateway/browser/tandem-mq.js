/**
 * A client of a gateway, for browsers and for Node from version 22: publishes, subscribes, and survives lost connections. GW-1.
 * Plain JavaScript without imports from elsewhere: a gateway serves this very file as /tandem-mq.js, and its parts beside it.
 *
 *   publish -> queue (bounded) -> in flight (as many as the gateway allows) -> acknowledged
 *                cut: stays         cut: rejected, 'possibly-persisted'
 *
 * Invariant: what was sent is never sent again by itself, because it may have been stored.
 */
import { GatewayError, malformed, publishFrame } from './tandem-mq-frames.js'
import { Link, SYSTEM_TIMERS } from './tandem-mq-link.js'
import { call, Readings } from './tandem-mq-readings.js'

export { GatewayError }

/** @typedef {import('./tandem-mq-frames.js').GatewayRecord} GatewayRecord */
/** @typedef {import('./tandem-mq-frames.js').Gap} Gap */
/** @typedef {import('./tandem-mq-frames.js').Headers} Headers */
/** @typedef {import('./tandem-mq-frames.js').Payload} Payload */
/** @typedef {import('./tandem-mq-frames.js').ServerFrame} ServerFrame */
/** @typedef {import('./tandem-mq-link.js').ClientState} ClientState */
/** @typedef {import('./tandem-mq-link.js').LinkOptions} LinkOptions */
/** @typedef {import('./tandem-mq-readings.js').SubscribeOptions} SubscribeOptions */
/** @typedef {import('./tandem-mq-readings.js').Subscription} Subscription */

/** @typedef {LinkOptions & { maxQueued?: number }} ConnectOptions `maxQueued`: publishes that wait to be sent, default 1000. */
/** @typedef {{ partition: number, offset: number, timestamp: number }} Published */

/**
 * @typedef {object} PublishOptions
 * @property {Payload} [key]
 * @property {Headers | Readonly<Record<string, Payload>>} [headers]
 * @property {number} [partition]
 * @property {number} [timestamp] Milliseconds since 1970.
 */

/**
 * @typedef {object} Publish
 * @property {number} id
 * @property {string} text
 * @property {(answer: Published) => void} resolve
 * @property {(error: GatewayError) => void} reject
 */

/** @typedef {{ id: number, onStats: (stats: any) => void, answered: (error: GatewayError | null) => void }} Figures */

const DEFAULT_IN_FLIGHT = 100
/** UTF-8 takes at most so many bytes per unit of a JavaScript string. */
const MAX_BYTES_PER_UNIT = 3

/**
 * Connects, and goes on connecting until `close`. `url`: ws(s) or http(s), or relative to the page.
 * Browsers do not say why a connection was refused: a wrong token and an unreachable gateway look alike.
 *
 *   const client = connect('/mq', { token: 'secret', onState: ({ state }) => show(state) })
 *   await client.subscribe(['chat-messages'], { key: 'ann' }, (record) => show(record.value))
 *   const { partition, offset } = await client.publish('chat-messages', 'hello', { key: 'bob' })
 *
 * Throws INVALID_CONFIG for an address that is none, or without a WebSocket.
 * @param {string} url
 * @param {ConnectOptions} [options]
 * @returns {GatewayClient}
 */
export function connect(url, options = {}) {
  return new GatewayClient(url, options)
}

export class GatewayClient {
  #link
  #readings
  #maxQueued
  #nextId = 1
  #window = DEFAULT_IN_FLIGHT
  #maxFrameBytes = Number.POSITIVE_INFINITY
  /** @type {Publish[]} */
  #queue = []
  /** @type {Map<number, Publish>} */
  #inFlight = new Map()
  /** @type {Figures | null} */
  #figures = null

  /**
   * @param {string} url
   * @param {ConnectOptions} options
   */
  constructor(url, { maxQueued = 1000, ...options }) {
    this.#maxQueued = maxQueued
    this.#readings = new Readings({
      isOpen: () => this.#link.isOpen,
      say: (frame) => this.#say(frame),
      timers: options.timers ?? SYSTEM_TIMERS,
    })
    this.#link = new Link(url, options, {
      onWelcome: (limits) => this.#welcome(limits),
      onFrame: (frame) => this.#receive(frame),
      onLost: (error) => this.#lost(error),
    })
  }

  /** @returns {ClientState['state']} */
  get state() {
    return this.#link.state
  }

  /** Publishes without an answer, sent or not. */
  get pending() {
    return this.#queue.length + this.#inFlight.size
  }

  /**
   * Resolves when Kafka has the record. Publishes leave in the order of the calls; without a connection they wait.
   * Rejects with a GatewayError, whose `persisted` says whether the record may be there: CONNECTION_CLOSED,
   * PRODUCE_FAILED/BUFFER_FULL (`maxQueued`), SERIALIZATION_FAILED, MESSAGE_TOO_LARGE, and what the gateway answers.
   * @param {string} topic
   * @param {Payload} value
   * @param {PublishOptions} [options]
   * @returns {Promise<Published>}
   */
  publish(topic, value, options = {}) {
    return new Promise((resolve, reject) => {
      this.#checkOpen()
      if (this.#queue.length >= this.#maxQueued) {
        const text = `${this.#maxQueued} records wait to be sent (maxQueued): await them, or wait for the connection`
        throw new GatewayError('PRODUCE_FAILED', text, { reason: 'BUFFER_FULL' })
      }
      const id = this.#nextId++
      this.#queue.push({ id, text: publishFrame(id, topic, value, options), resolve, reject })
      this.#flush()
    })
  }

  /**
   * Resolves when the gateway has said where it begins. Records come after that, to `onRecord`, which is not waited for.
   * No topics: the gateway's `keyTopics`, and then `key` is needed. One subscription per topic and client.
   * Rejects with a GatewayError: INVALID_CONFIG (subscribed already), CONNECTION_CLOSED, and what the gateway answers.
   * @param {readonly string[]} topics
   * @param {SubscribeOptions} options
   * @param {(record: GatewayRecord) => void} onRecord
   * @returns {Promise<Subscription>}
   */
  async subscribe(topics, options, onRecord) {
    this.#checkOpen()
    return this.#readings.add(topics, options, onRecord)
  }

  /**
   * The gateway's figures (`StatsFrame`), each second, where it allows them. One at a time.
   * @param {(stats: any) => void} onStats
   * @returns {Promise<Subscription>}
   */
  stats(onStats) {
    return new Promise((resolve, reject) => {
      this.#checkOpen()
      if (this.#figures !== null)
        throw new GatewayError('INVALID_CONFIG', 'figures are shown already: close that first')
      const close = async () => {
        if (this.#figures !== figures) return
        this.#figures = null
        if (this.#link.isOpen) this.#say({ type: 'stats', on: false })
      }
      /** @type {Figures} */
      const figures = { id: 0, onStats, answered: (error) => (error === null ? resolve({ close }) : reject(error)) }
      this.#figures = figures
      this.#askFigures()
    })
  }

  /** Ends everything at once; what has no answer is rejected. Idempotent. */
  close() {
    if (this.state === 'closed') return
    const error = new GatewayError('CONNECTION_CLOSED', 'the client was closed')
    this.#link.close()
    this.#lost(error)
    this.#readings.close(error)
    for (const { reject } of this.#queue.splice(0)) reject(error)
    this.#figures?.answered(error)
    this.#figures = null
  }

  /** @param {Record<string, number>} limits */
  #welcome({ maxInFlight = DEFAULT_IN_FLIGHT, maxFrameBytes = Number.POSITIVE_INFINITY }) {
    // One less: a gateway that stops reading at its limit would not see our pings either.
    this.#window = Math.max(1, maxInFlight - 1)
    this.#maxFrameBytes = maxFrameBytes
    this.#readings.resume()
    this.#askFigures()
    this.#flush()
  }

  /** @param {ServerFrame} frame */
  #receive(frame) {
    if (this.#readings.receive(frame)) return
    if (frame.type === 'ack') return this.#settle(frame.id, ({ resolve }) => resolve(publishedOf(frame)))
    if (frame.type === 'stats') return this.#show(frame.id, frame.stats)
    if (frame.type !== 'error') throw malformed(`${frame.type}, which was not asked for`)
    const { id, error } = frame
    if (this.#figures !== null && id === this.#figures.id) {
      const { answered } = this.#figures
      this.#figures = null
      return answered(error)
    }
    // An answer to a ping, to `stats` off, or about a topic that was left meanwhile: nobody waits for it.
    if (id !== undefined && this.#inFlight.has(id)) this.#settle(id, ({ reject }) => reject(error))
  }

  #flush() {
    // What a closing socket would not take waits for the next one, and is in no doubt.
    while (this.#link.canSend && this.#inFlight.size < this.#window) {
      const publish = this.#queue.shift()
      if (publish === undefined) return
      if (!this.#fits(publish.text)) {
        const text = `the frame is longer than the gateway's ${this.#maxFrameBytes} B (maxFrameBytes)`
        publish.reject(new GatewayError('MESSAGE_TOO_LARGE', text))
        continue
      }
      this.#inFlight.set(publish.id, publish)
      this.#link.send(publish.text)
    }
  }

  /** @param {string} text */
  #fits(text) {
    return (
      text.length * MAX_BYTES_PER_UNIT <= this.#maxFrameBytes ||
      new TextEncoder().encode(text).length <= this.#maxFrameBytes
    )
  }

  /**
   * @param {number} id
   * @param {(publish: Publish) => void} settle
   */
  #settle(id, settle) {
    const publish = this.#inFlight.get(id)
    if (publish === undefined) throw malformed(`an ack ${id} that nobody waits for`)
    this.#inFlight.delete(id)
    settle(publish)
    this.#flush()
  }

  #askFigures() {
    if (this.#figures !== null && this.#link.isOpen) this.#figures.id = this.#say({ type: 'stats' })
  }

  /**
   * @param {number} id
   * @param {unknown} stats
   */
  #show(id, stats) {
    if (this.#figures === null || this.#figures.id !== id) return // asked off, and still on its way
    this.#figures.answered(null)
    call(this.#figures.onStats, stats)
  }

  /** @param {GatewayError} error */
  #lost(error) {
    this.#readings.lost()
    const inFlight = [...this.#inFlight.values()]
    this.#inFlight.clear()
    if (inFlight.length === 0) return
    const text = `${error.message}; sent and not acknowledged: it may have been stored, and is not sent again`
    const inDoubt = new GatewayError(error.code, text, { reason: error.reason, persisted: 'possibly-persisted' })
    for (const { reject } of inFlight) reject(inDoubt)
  }

  /** @param {object} frame */
  #say(frame) {
    const id = this.#nextId++
    this.#link.send(JSON.stringify({ ...frame, id }))
    return id
  }

  #checkOpen() {
    if (this.state === 'closed') throw new GatewayError('CONNECTION_CLOSED', 'the client was closed')
  }
}

/**
 * @param {Published} ack
 * @returns {Published}
 */
function publishedOf({ partition, offset, timestamp }) {
  return { partition, offset, timestamp }
}
