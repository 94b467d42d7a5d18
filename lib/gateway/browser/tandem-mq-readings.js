/**
 * The subscriptions of a client, and how far each has come. GW-1.
 * Plain JavaScript without imports from elsewhere: a gateway serves this very file.
 *
 *   asking --subscribed--> live --lost--> asking (from its next offsets) --subscribed--> live
 *                          live --partitions were added--> moving --subscribed--> live
 *
 * Invariants: a record reaches its callback once, in the order of its partition; after a lost connection reading goes on
 * behind the last record that was handed over. One subscription per topic, so that each record has one reader.
 */
import { fromOf, GatewayError, malformed } from './tandem-mq-frames.js'

/** @typedef {import('./tandem-mq-frames.js').GatewayRecord} GatewayRecord */
/** @typedef {import('./tandem-mq-frames.js').Gap} Gap */
/** @typedef {import('./tandem-mq-frames.js').Offsets} Offsets */
/** @typedef {import('./tandem-mq-frames.js').ServerFrame} ServerFrame */
/** @typedef {import('./tandem-mq-link.js').Timers} Timers */

/** @typedef {{ close(): Promise<void> }} Subscription `close` resolves when nothing comes any more. */
/** @typedef {'latest' | 'earliest' | Readonly<Record<string, Readonly<Record<number, number>>>>} From */

/**
 * @typedef {object} SubscribeOptions
 * @property {string} [key] Only records with this key.
 * @property {From} [from] Where to begin: 'latest' (default), 'earliest', or next offsets by topic and partition.
 * @property {(gap: Gap) => void} [onGap] Records that will not come.
 * @property {(error: GatewayError) => void} [onEnd] The gateway ended it: the topic is gone, or may not be read any more.
 */

/**
 * @typedef {object} Wire
 * @property {() => boolean} isOpen
 * @property {(frame: object) => number} say Sends a frame; gives its id.
 * @property {Timers} timers
 */

/** @typedef {{ reading: Reading, topics: readonly string[], done: () => void }} Leaving */

const RETRY_MS = 2_000
/** Errors of a subscription that pass; any other ends it. */
const PASSING = [
  'CONNECTION_CLOSED',
  'CONNECTION_FAILED',
  'CONNECTION_TIMEOUT',
  'CONSUME_FAILED',
  'POOL_EXHAUSTED',
  'TIMEOUT',
]

class Reading {
  /** @type {Offsets | null} Where to go on; null before the first answer. */
  next = null
  /** @type {'asking' | 'moving' | 'live'} 'moving': what comes before the answer will come again. */
  phase = 'asking'
  /** @type {unknown} Until it is asked again after an error that passes. */
  timer = null

  /**
   * @param {readonly string[]} topics
   * @param {SubscribeOptions} options
   * @param {(record: GatewayRecord) => void} onRecord
   * @param {(error: GatewayError | null) => void} answered
   */
  constructor(topics, options, onRecord, answered) {
    this.topics = topics
    this.options = options
    this.onRecord = onRecord
    this.answered = answered
  }
}

export class Readings {
  #wire
  /** @type {Set<Reading>} */
  #readings = new Set()
  /** @type {Map<string, Reading>} */
  #byTopic = new Map()
  /** @type {Map<number, Reading>} Subscribes that wait for their answer, by id. */
  #asked = new Map()
  /** @type {Map<number, Leaving>} Unsubscribes that wait for their answer, by id. */
  #leaving = new Map()

  /** @param {Wire} wire */
  constructor(wire) {
    this.#wire = wire
  }

  /**
   * @param {readonly string[]} topics
   * @param {SubscribeOptions} options
   * @param {(record: GatewayRecord) => void} onRecord
   * @returns {Promise<Subscription>}
   */
  add(topics, options, onRecord) {
    return new Promise((resolve, reject) => {
      const answered = (/** @type {GatewayError | null} */ error) =>
        error === null ? resolve({ close: () => this.#leave(reading) }) : reject(error)
      const reading = new Reading([...topics], options, onRecord, answered)
      this.#claim(reading, reading.topics)
      this.#readings.add(reading)
      this.#ask(reading)
    })
  }

  /** A new connection: every subscription goes on where it stands. */
  resume() {
    for (const reading of this.#readings) this.#ask(reading)
  }

  lost() {
    this.#asked.clear()
    for (const { done } of this.#leaving.values()) done()
    this.#leaving.clear()
    for (const reading of this.#readings) this.#settle(reading, 'asking')
  }

  /** @param {GatewayError} error */
  close(error) {
    this.lost()
    for (const reading of this.#readings) if (reading.next === null) reading.answered(error)
    this.#readings.clear()
    this.#byTopic.clear()
  }

  /**
   * Frames of subscriptions; false: this is none. Throws a GatewayError when the gateway breaks its word.
   * @param {ServerFrame} frame
   * @returns {boolean}
   */
  receive(frame) {
    if (frame.type === 'record') this.#deliver(frame.record)
    else if (frame.type === 'gap') this.#skip(frame.gap)
    else if (frame.type === 'subscribed') this.#subscribed(frame.id, frame.topics)
    else if (frame.type === 'unsubscribed') this.#left(frame.id)
    else if (frame.type === 'error') return this.#failed(frame.id, frame.topic, frame.error)
    else return false
    return true
  }

  /** @param {GatewayRecord} record */
  #deliver(record) {
    const { topic, partition, offset } = record
    const reading = this.#readerOf(topic, 'a record')
    if (reading === null) return
    const { key } = reading.options
    if (key !== undefined && record.key !== key) throw malformed(`a record of ${topic} with another key than ${key}`)
    const partitions = positionsOf(reading, topic)
    const expected = partitions.get(partition) ?? 0 // a partition that was added meanwhile
    if (offset < expected) throw malformed(`offset ${offset} of ${topic}/${partition} behind ${expected - 1}`)
    // Before the callback: what it was given counts as delivered, whatever becomes of it there.
    partitions.set(partition, offset + 1)
    call(reading.onRecord, record)
  }

  /** @param {Gap} gap */
  #skip(gap) {
    const reading = this.#readerOf(gap.topic, 'a gap')
    if (reading === null) return
    const partitions = positionsOf(reading, gap.topic)
    const from = Math.max(gap.from, partitions.get(gap.partition) ?? 0)
    if (gap.to < from) return // told already, by where the gateway began
    partitions.set(gap.partition, gap.to + 1)
    call(reading.options.onGap, { ...gap, from })
  }

  /**
   * Who reads a topic; null: what comes is not wanted any more, or will come again.
   * @param {string} topic
   * @param {string} what
   */
  #readerOf(topic, what) {
    for (const { topics } of this.#leaving.values()) if (topics.includes(topic)) return null
    const reading = this.#byTopic.get(topic)
    if (reading === undefined || reading.phase === 'asking')
      throw malformed(`${what} of ${topic}, which is not subscribed`)
    return reading.phase === 'live' ? reading : null
  }

  /** @param {Reading} reading */
  #ask(reading) {
    if (!this.#wire.isOpen()) return
    // Records of two subscribes of one topic could not be told apart: asked when the gateway has let go of the older one.
    for (const { topics } of this.#leaving.values()) if (overlap(topics, reading.topics)) return
    const { key, from = 'latest' } = reading.options
    const begin = reading.next === null ? from : fromOf(reading.next)
    this.#asked.set(this.#wire.say({ type: 'subscribe', topics: reading.topics, key, from: begin }), reading)
  }

  /**
   * @param {number} id
   * @param {Offsets} topics
   */
  #subscribed(id, topics) {
    const reading = this.#asked.get(id)
    if (reading === undefined) throw malformed(`an answer to a subscribe ${id} that waits for none`)
    this.#asked.delete(id)
    if (!this.#readings.has(reading)) return this.#closedMeanwhile(reading, topics)
    const missing = reading.topics.find((topic) => !topics.has(topic))
    if (missing !== undefined) throw malformed(`subscribed without ${missing}`)
    if (reading.next !== null) return this.#resumed(reading, reading.next, topics)
    try {
      this.#claim(reading, [...topics.keys()])
    } catch (error) {
      void this.#leave(reading)
      return reading.answered(/** @type {GatewayError} */ (error))
    }
    reading.next = topics
    reading.phase = 'live'
    reading.answered(null)
  }

  /**
   * A gateway begins later than asked when records were deleted, and earlier when the topic was made anew. Of partitions that
   * were added while we were away everything is news, but it began them at the latest: asks once more.
   * @param {Reading} reading
   * @param {Offsets} next
   * @param {Offsets} begun
   */
  #resumed(reading, next, begun) {
    let isGrown = false
    /** @type {Gap[]} */
    const gaps = []
    for (const [topic, partitions] of begun) {
      const positions = next.get(topic) ?? partitions
      next.set(topic, positions)
      for (const [partition, at] of partitions) {
        const expected = positions.get(partition)
        if (expected === undefined && at > 0) isGrown = true
        if (expected !== undefined && at > expected) {
          gaps.push({ topic, partition, from: expected, to: at - 1, reason: 'deleted' })
        }
        positions.set(partition, expected === undefined ? 0 : at)
      }
    }
    reading.phase = isGrown ? 'moving' : 'live'
    if (isGrown) this.#ask(reading)
    for (const gap of gaps) call(reading.options.onGap, gap)
  }

  /**
   * @param {number | undefined} id
   * @param {string | undefined} topic
   * @param {GatewayError} error
   */
  #failed(id, topic, error) {
    const reading = id === undefined ? this.#byTopic.get(topic ?? '') : this.#asked.get(id)
    if (reading === undefined) return false
    if (id !== undefined) this.#asked.delete(id)
    if (!this.#readings.has(reading)) return true
    if (reading.next !== null && PASSING.includes(error.code)) {
      // It is not subscribed to this topic any more, but may be to its others: all move to where we stand.
      this.#settle(reading, 'moving')
      reading.timer = this.#wire.timers.set(() => this.#ask(reading), RETRY_MS)
      return true
    }
    const { next } = reading
    void this.#leave(reading)
    if (next === null) reading.answered(error)
    else call(reading.options.onEnd, error)
    return true
  }

  /**
   * @param {Reading} reading
   * @returns {Promise<void>}
   */
  #leave(reading) {
    if (!this.#readings.delete(reading)) return Promise.resolve()
    this.#settle(reading, reading.phase)
    for (const [topic, owner] of this.#byTopic) if (owner === reading) this.#byTopic.delete(topic)
    const isKnown = reading.next !== null || [...this.#asked.values()].includes(reading)
    if (!this.#wire.isOpen() || !isKnown) return Promise.resolve()
    const topics = reading.next === null ? reading.topics : [...reading.next.keys()]
    const id = this.#wire.say({ type: 'unsubscribe', topics, key: reading.options.key })
    return new Promise((done) => this.#leaving.set(id, { reading, topics, done }))
  }

  /**
   * Its topics may be known only now.
   * @param {Reading} reading
   * @param {Offsets} topics
   */
  #closedMeanwhile(reading, topics) {
    for (const leaving of this.#leaving.values()) if (leaving.reading === reading) leaving.topics = [...topics.keys()]
  }

  /** @param {number} id */
  #left(id) {
    const leaving = this.#leaving.get(id)
    if (leaving === undefined) throw malformed(`an answer to an unsubscribe ${id} that waits for none`)
    this.#leaving.delete(id)
    leaving.done()
    const asked = new Set(this.#asked.values())
    for (const reading of this.#readings) if (reading.phase === 'asking' && !asked.has(reading)) this.#ask(reading)
  }

  /**
   * @param {Reading} reading
   * @param {readonly string[]} topics
   */
  #claim(reading, topics) {
    const taken = topics.find((topic) => (this.#byTopic.get(topic) ?? reading) !== reading)
    if (taken !== undefined) {
      throw new GatewayError('INVALID_CONFIG', `${taken} is subscribed already: close that, or connect a second time`)
    }
    for (const topic of topics) this.#byTopic.set(topic, reading)
  }

  /**
   * @param {Reading} reading
   * @param {Reading['phase']} phase
   */
  #settle(reading, phase) {
    this.#wire.timers.clear(reading.timer)
    reading.timer = null
    reading.phase = phase
  }
}

/**
 * @param {Reading} reading
 * @param {string} topic
 * @returns {Map<number, number>}
 */
function positionsOf(reading, topic) {
  const positions = reading.next?.get(topic)
  if (positions === undefined) throw malformed(`records of ${topic}, which was not among the subscribed ones`)
  return positions
}

/**
 * No topics: those that the gateway knows, which may be any.
 * @param {readonly string[]} some
 * @param {readonly string[]} others
 */
function overlap(some, others) {
  return some.length === 0 || others.length === 0 || some.some((topic) => others.includes(topic))
}

/**
 * What a callback throws is the page's: it is shown as any uncaught error, and reading goes on.
 * @template T
 * @param {((value: T) => void) | undefined} callback
 * @param {T} value
 */
export function call(callback, value) {
  try {
    callback?.(value)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
