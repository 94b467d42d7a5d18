/**
 * A producer in a process that may be killed at any moment. It sends numbered records as fast as their acceptance allows
 * and tells the parent what was accepted; nothing here judges anything.
 * Invariant: see `job.ts` for what each line promises.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { MQError } from '../../../lib/errors/index.js'
import { Producer, type ProducerDeps } from '../../../lib/producer/index.js'
import { Produce } from '../../../lib/protocol/index.js'
import { randomInt, seededRandom, silentLogger } from '../../../lib/util/index.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import type { Doubt, Job, Lane, Milestone } from './job.js'
import { keyFor, valueFor, wayOf } from './values.js'

const STDOUT = 1
/** A drain that takes longer is ended by the parent; close itself may not wait for ever. */
const CLOSE_LIMIT_MS = 60_000
/** Longer than an acknowledgement waits for company on its way into the log (`wal.ackFlushMs`). */
const NOTED_MS = 100
const POLL_MS = 5
/** Events that belong to a failure may come after it. */
const LAST_WORDS_MS = 1_000
const EVENTS = ['walEdge', 'walHeld', 'walRecovery', 'walDegraded', 'walFailed', 'dataLoss', 'error'] as const

say('X ready')
createInterface({ input: process.stdin }).once('line', (line) => {
  run(JSON.parse(line) as Job).catch((error: unknown) => {
    milestone('failed', told(error))
    setTimeout(() => process.exit(1), LAST_WORDS_MS)
  })
})

async function run(job: Job): Promise<void> {
  const { deps, proxy } = wiringOf(job)
  const producer = new Producer({ ...job.producer, brokers: job.brokers, logger: silentLogger }, deps)
  for (const name of EVENTS) producer.on(name, (event) => say(`E ${name} ${plain(event)}`))
  const opening = producer.connect().then(
    () => milestone('open', { guarantee: producer.guarantee }),
    (error: unknown) => milestone('unconnected', told(error)),
  )
  if (!job.isEager) await opening
  const recovered = (hasLog(job) ? producer.walRecovered() : opening).then(() => milestone('recovered'))
  recovered.catch((error: unknown) => {
    if (producer.state === 'open') milestone('failed', told(error)) // else it was closed before it knew
  })
  if (job.role === 'drain') {
    await opening
    await recovered
    await producer.flush()
    milestone('closed', await producer.close({ timeoutMs: CLOSE_LIMIT_MS }))
    process.exit(0)
  }
  const load = new Load(job, producer)
  if (job.closeAfterMs >= 0) setTimeout(() => closeNow(producer, load, job.closeLimitMs), job.closeAfterMs)
  if (job.doubt !== null && proxy !== null) await bringIntoDoubt(load, proxy, job.doubt)
  else await load.run()
  await nextTurn() // so that every acceptance has been told
  milestone('sent')
}

/** Without a log a record is accepted when it is in memory: all that kills can show there is loss. */
const hasLog = ({ producer }: Job): boolean => (producer.wal?.durability ?? 'memory') !== 'memory'

/** In the middle of everything; what is not delivered stays in the log. */
function closeNow(producer: Producer, load: Load, timeoutMs: number): void {
  load.stop()
  producer.close({ timeoutMs }).then(
    (report) => {
      milestone('closed', report)
      process.exit(0)
    },
    (error: unknown) => {
      milestone('failed', told(error))
      process.exit(1)
    },
  )
}

interface Wiring {
  readonly deps: ProducerDeps
  /** Between producer and brokers; null: nothing. */
  readonly proxy: TcpProxy | null
}

function wiringOf({ doubt }: Job): Wiring {
  if (doubt === null) return { deps: {}, proxy: null }
  const proxy = new TcpProxy()
  return { deps: { dial: proxy.dial }, proxy }
}

/**
 * A delivered record opens the gate of the first lane; then batch after batch, each on its way before the next is filled.
 * What is withheld is lost with this process.
 */
async function bringIntoDoubt(load: Load, proxy: TcpProxy, doubt: Doubt): Promise<void> {
  await load.deliverOne()
  await sleep(NOTED_MS)
  proxy.plan = ({ apiKey }) => {
    if (apiKey !== Produce.key) return null
    return { kind: doubt.loses === 'answers' ? 'silence' : 'cutRequest' }
  }
  for (let batch = 0; batch < doubt.batches; batch++) {
    const before = proxy.seen(Produce.key)
    await load.accept(doubt.recordsPerBatch)
    while (proxy.seen(Produce.key) === before) await sleep(POLL_MS)
  }
  if (doubt.unsent > 0) await load.accept(doubt.unsent)
}

/** Sends bursts to lanes in a seeded order; order within a lane is that of its numbers. */
class Load {
  readonly #job: Job
  readonly #producer: Producer
  readonly #next: number[]
  #awaited = 0
  #isStopped = false
  #wake: (() => void) | null = null
  readonly #accepted: Ranges
  readonly #delivered: Ranges

  constructor(job: Job, producer: Producer) {
    this.#job = job
    this.#producer = producer
    this.#next = job.lanes.map(({ from }) => from)
    this.#accepted = new Ranges('A', job.lanes.length)
    this.#delivered = new Ranges('D', job.lanes.length)
  }

  stop(): void {
    this.#isStopped = true
  }

  async run(): Promise<void> {
    const random = seededRandom(this.#job.seed)
    const { lanes, burst, window } = this.#job
    for (let left = this.#lanesLeft(); left.length > 0 && !this.#isStopped; left = this.#lanesLeft()) {
      const lane = left[randomInt(random, left.length)] as number
      this.#burst(lane, lanes[lane] as Lane, 1 + randomInt(random, burst))
      if (this.#awaited >= window) await this.#untilBelow()
      else if (randomInt(random, 4) === 0) await nextTurn()
    }
    while (this.#awaited > 0) await this.#untilBelow()
  }

  /** One record of the first lane, until the broker has acknowledged it. */
  async deliverOne(): Promise<void> {
    const { topic, partition } = this.#job.lanes[0] as Lane
    const number = this.#next[0] as number
    say(`S 0 ${number} ${number}`)
    this.#next[0] = number + 1
    const { timestamp } = this.#job
    const options = { partition, key: keyFor(0, number), ...(timestamp === 0 ? {} : { timestamp }) }
    await this.#producer.sendSync(topic, valueFor(0, number), options)
    this.#delivered.note(0, number)
  }

  /** So many records of the first lane; settles when all are accepted. */
  async accept(records: number): Promise<void> {
    this.#burst(0, this.#job.lanes[0] as Lane, records)
    while (this.#awaited > 0) await this.#untilBelow()
  }

  #lanesLeft(): number[] {
    const { lanes, limit } = this.#job
    return lanes.flatMap(({ from }, lane) => (limit === 0 || (this.#next[lane] as number) < from + limit ? [lane] : []))
  }

  #burst(lane: number, { topic, partition, from }: Lane, wanted: number): void {
    const { limit } = this.#job
    const first = this.#next[lane] as number
    const end = limit === 0 ? first + wanted : Math.min(first + wanted, from + limit)
    say(`S ${lane} ${first} ${end - 1}`)
    this.#next[lane] = end
    for (let number = first; number < end; number++) this.#send(lane, number, topic, partition)
  }

  #send(lane: number, number: number, topic: string, partition: number): void {
    const { timestamp } = this.#job
    const options = { partition, key: keyFor(lane, number), ...(timestamp === 0 ? {} : { timestamp }) }
    const value = valueFor(lane, number)
    const way = this.#job.isOnlyDurable ? 'durable' : wayOf(lane, number)
    const refused = (error: unknown) => this.#refused(lane, number, error)
    if (way === 'async') {
      this.#producer.sendAsync(topic, value, options, (error) =>
        error === null ? this.#delivered.note(lane, number) : refused(error),
      )
      return
    }
    if (way === 'sync') {
      this.#producer.sendSync(topic, value, options).then(() => this.#delivered.note(lane, number), refused)
      return
    }
    this.#awaited++
    const accepted = hasLog(this.#job)
      ? this.#producer.sendDurable(topic, value, options)
      : this.#producer.sendSync(topic, value, { ...options, until: 'accepted' })
    accepted.then(() => this.#accepted.note(lane, number), refused).finally(() => this.#less())
  }

  #refused(lane: number, number: number, error: unknown): void {
    const { code, status } = told(error)
    say(`F ${lane} ${number} ${code} ${status}`)
  }

  #less(): void {
    this.#awaited--
    const wake = this.#wake
    if (wake === null || this.#awaited > this.#job.window / 2) return
    this.#wake = null
    wake()
  }

  #untilBelow(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

/** Numbers as ranges, told at the end of the turn: a line per record would be most of the work. */
class Ranges {
  readonly #letter: string
  readonly #from: Float64Array
  readonly #to: Float64Array
  #isTelling = false

  constructor(letter: string, lanes: number) {
    this.#letter = letter
    this.#from = new Float64Array(lanes).fill(-1)
    this.#to = new Float64Array(lanes).fill(-1)
  }

  note(lane: number, number: number): void {
    if (this.#from[lane] !== -1 && this.#to[lane] !== number - 1) this.#tell(lane)
    if (this.#from[lane] === -1) this.#from[lane] = number
    this.#to[lane] = number
    if (this.#isTelling) return
    this.#isTelling = true
    setImmediate(() => {
      this.#isTelling = false
      for (let each = 0; each < this.#from.length; each++) this.#tell(each)
    })
  }

  #tell(lane: number): void {
    if (this.#from[lane] === -1) return
    say(`${this.#letter} ${lane} ${this.#from[lane]} ${this.#to[lane]}`)
    this.#from[lane] = -1
  }
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

function milestone(name: Milestone, what?: object): void {
  say(what === undefined ? `X ${name}` : `X ${name} ${plain(what)}`)
}

function told(error: unknown): { readonly code: string; readonly status: string; readonly text: string } {
  if (!(error instanceof MQError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { code: 'NOT_OURS', status: '-', text }
  }
  const { reason, status } = error.context as { readonly reason?: string; readonly status?: string }
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? error.cause.message}` : ''
  return {
    code: `${error.code}/${reason ?? '-'}`,
    status: status ?? '-',
    text: `${error.stack ?? error.message}${cause}`,
  }
}

function plain(what: unknown): string {
  if (what instanceof Error) return JSON.stringify(told(what))
  return JSON.stringify(what, (_, value: unknown) => {
    if (typeof value === 'bigint') return Number(value)
    return value instanceof Error ? told(value) : value
  })
}

/** The pipe blocks; where it does not, the line is offered until it is taken. */
function say(line: string): void {
  const bytes = Buffer.from(`${line}\n`)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(STDOUT, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(0) // the parent is gone
      if (code !== 'EAGAIN') throw error
    }
  }
}
