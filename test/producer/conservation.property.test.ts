/**
 * PR-22: accepted = acknowledged + failed + dropped + pending at every moment anybody can look, each caller is told once,
 * nothing is kept at the end, and the log agrees with what was told; whatever is done in whatever order.
 * A course is a list of steps for one producer; fast-check finds the short one that breaks a rule.
 */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type Broker, createBroker, type Fault, type FaultHandle, fault } from '../../lib/broker/index.js'
import { ArenaPool, MemoryBudget } from '../../lib/channel/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import { Producer } from '../../lib/producer/index.js'
import { seededRandom, silentLogger } from '../../lib/util/index.js'
import { DrivenClock } from '../support/driven-clock.js'
import { expectFaithful, type SentRecord } from '../support/oracle.js'
import { logOf, turns, until } from './support.js'

const TOPIC = 'orders'
const PARTITIONS = 3
const LIMIT_BYTES = 300_000

interface Told extends SentRecord {
  readonly id: string
  readonly partition: number
  outcome: SentRecord['outcome']
  offset: number
  times: number
  refused: boolean
}

type Step =
  | { readonly do: 'async'; readonly partition: number; readonly count: number; readonly bytes: number }
  | { readonly do: 'sync'; readonly partition: number; readonly bytes: number; readonly abortAfter: number | null }
  | { readonly do: 'batch'; readonly count: number; readonly bytes: number; readonly maxBatchRecords: number }
  | {
      readonly do: 'fault'
      readonly what: Fault
      readonly partition: number | null
      readonly nth: number
      readonly times: number
    }
  | { readonly do: 'trouble'; readonly kind: 'disconnect' | 'restart' | 'crash' | 'move'; readonly partition: number }
  | { readonly do: 'limit'; readonly bytes: number | null }
  | { readonly do: 'turns'; readonly count: number }
  | { readonly do: 'flush' }

const partition = fc.nat(PARTITIONS - 1)
const bytes = fc.oneof(
  { weight: 4, arbitrary: fc.nat(400) },
  { weight: 1, arbitrary: fc.integer({ min: 400, max: 20_000 }) },
)
const codes = fc.constantFrom(-1, 1, 3, 5, 6, 7, 10, 13, 17, 19, 20, 29, 45, 56, 74, 87, 99)
/** By these a broker swears that it wrote nothing: they never come after an append. */
const SWORN = new Set([10, 17, 19, 29, 45, 87])
const what: fc.Arbitrary<Fault> = fc.oneof(
  codes.map((code) => fault.error(code)),
  codes.filter((code) => !SWORN.has(code)).map((code) => fault.error(code, { when: 'after' })),
  fc.constantFrom(
    fault.drop('before'),
    fault.drop('after'),
    fault.blackhole(),
    fault.wrongCorrelation(),
    fault.throttle(5),
  ),
  fc.integer({ min: 1, max: 60 }).map((ms) => fault.delay(ms)),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('async' as const),
      partition,
      count: fc.integer({ min: 1, max: 60 }),
      bytes,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('sync' as const), partition, bytes, abortAfter: fc.option(fc.nat(20)) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('batch' as const),
      count: fc.integer({ min: 1, max: 20 }),
      bytes,
      maxBatchRecords: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('fault' as const),
      what,
      partition: fc.option(partition),
      nth: fc.integer({ min: 1, max: 3 }),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('trouble' as const),
      kind: fc.constantFrom('disconnect' as const, 'restart' as const, 'crash' as const, 'move' as const),
      partition,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('limit' as const), bytes: fc.option(fc.integer({ min: 300, max: 5000 })) }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('turns' as const), count: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
)

const config: fc.Arbitrary<ProducerConfig> = fc.record({
  lingerMs: fc.constantFrom(0, 5, 100),
  batchBytes: fc.constantFrom(200, 2000, 16_384),
  maxBatchBytes: fc.constantFrom(30_000, 100_000),
  maxInFlight: fc.integer({ min: 1, max: 5 }),
  compression: fc.constantFrom('none', 'lz4', 'zstd'),
  onFull: fc.constantFrom('block', 'reject', 'dropOldest'),
  maxBlockMs: fc.constantFrom(150, 2000),
  bufferMaxRecords: fc.constantFrom(undefined, 3, 40, 1000),
  maxRetries: fc.constantFrom(undefined, undefined, 2),
  deliveryTimeoutMs: fc.constantFrom(1000, 20_000),
}) as fc.Arbitrary<ProducerConfig>

/**
 * How a course ends: flushed; left alone until everything has settled by itself, which shows a lane that nobody wakes;
 * or given up after so many virtual milliseconds.
 */
type Ending = 'flush' | 'wait' | number
const ending = fc.constantFrom<Ending>('flush', 'wait', 'wait', 0, 50, 2000)
/** Virtual time in which everything settles once nothing goes wrong any more: back-offs, reconnects, questions. */
const CALM_MS = 8000

/** Most courses begin with leaders, identity and open windows; the others with records that wait for metadata. */
const warm = fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })

class Course {
  readonly told: Told[] = []
  readonly #broker: Broker
  readonly #producer: Producer
  readonly #faults: FaultHandle[] = []
  #next = 0

  constructor(broker: Broker, producer: Producer) {
    this.#broker = broker
    this.#producer = producer
  }

  check(): void {
    const { totalMessages, successMessages, failedMessages, droppedMessages, pendingMessages, bufferUsedBytes } =
      this.#producer.getMetrics()
    expect(successMessages + failedMessages + droppedMessages + pendingMessages).toBe(totalMessages)
    expect(pendingMessages).toBeGreaterThanOrEqual(0)
    expect(bufferUsedBytes).toBeLessThanOrEqual(LIMIT_BYTES)
    expect(this.told.every(({ times }) => times <= 1)).toBe(true)
  }

  async warmUp(): Promise<void> {
    for (let at = 0; at < PARTITIONS; at++) this.#sendSync(at, 10, null)
    await until(() => this.told.every(({ times }) => times === 1))
  }

  /** Nothing goes wrong from here on. */
  calm(): void {
    for (const one of this.#faults) one.remove()
    this.#broker.setTopicConfig(TOPIC, 'max.message.bytes', null)
  }

  async run(one: Step): Promise<void> {
    const broker = this.#broker
    switch (one.do) {
      case 'async':
        for (let at = 0; at < one.count; at++) this.#sendAsync(one.partition, one.bytes)
        return
      case 'sync':
        return this.#sendSync(one.partition, one.bytes, one.abortAfter)
      case 'batch':
        return this.#sendBatch(one.count, one.bytes, one.maxBatchRecords)
      case 'fault': {
        const where = one.partition === null ? {} : { topic: TOPIC, partition: one.partition }
        this.#faults.push(broker.on({ api: 'Produce', ...where, nth: one.nth, times: one.times }, one.what))
        return
      }
      case 'trouble':
        return this.#trouble(one.kind, one.partition)
      case 'limit':
        return broker.setTopicConfig(TOPIC, 'max.message.bytes', one.bytes)
      case 'turns':
        for (let at = 0; at < one.count; at++) {
          await turns(1)
          this.check()
        }
        return
      case 'flush':
        void this.#producer.flush().catch(() => {})
    }
  }

  #new(at: number, size: number): { told: Told; value: string } {
    const id = `r${this.#next++}`
    const told: Told = { id, partition: at, outcome: 'pending', offset: -1, times: 0, refused: false }
    this.told.push(told)
    return { told, value: `${id};`.padEnd(size, id) }
  }

  #settle(told: Told, error: MQError | null, offset: number): void {
    told.times++
    told.outcome = error === null ? 'acknowledged' : (error.context?.persistence ?? 'possibly-persisted')
    told.offset = offset
  }

  #sendAsync(at: number, size: number): void {
    const { told, value } = this.#new(at, size)
    this.#producer.sendAsync(TOPIC, value, { partition: at }, (error, metadata) =>
      this.#settle(told, error, metadata?.offset ?? -1),
    )
  }

  #sendSync(at: number, size: number, abortAfter: number | null): void {
    const { told, value } = this.#new(at, size)
    const abort = new AbortController()
    this.#producer.sendSync(TOPIC, value, { partition: at, signal: abort.signal }).then(
      ({ offset }) => this.#settle(told, null, offset),
      (error: MQError) => this.#settle(told, error, -1),
    )
    if (abortAfter !== null) void turns(abortAfter).then(() => abort.abort(new Error('no more')))
  }

  #sendBatch(count: number, size: number, maxBatchRecords: number): void {
    const made = Array.from({ length: count }, (_, at) => this.#new(at % PARTITIONS, size))
    const messages = made.map(({ told, value }) => ({ value, partition: told.partition }))
    this.#producer.sendBatchSync({ topic: TOPIC, messages, maxBatchRecords }).then(
      (results) => {
        for (const [at, { error, offset }] of results.entries()) {
          this.#settle((made[at] as (typeof made)[number]).told, error ?? null, offset)
        }
      },
      (error: MQError) => {
        for (const { told } of made) this.#settle(told, error, -1)
      },
    )
  }

  async #trouble(kind: 'disconnect' | 'restart' | 'crash' | 'move', at: number): Promise<void> {
    const broker = this.#broker
    if (kind === 'disconnect') return broker.disconnect()
    const { leader, isr } = broker.log(TOPIC, at)
    if (kind === 'move') {
      const other = isr.find((id) => id !== leader)
      if (other !== undefined) broker.moveLeader({ topic: TOPIC, partition: at }, other)
      return
    }
    if (leader < 0) return
    await (kind === 'restart' ? broker.stop(leader) : broker.kill(leader))
    await turns(5)
    await broker.start(leader)
  }
}

/** What the producer's memory is made of, seen from outside; arenas are poisoned when they come back. */
function watchMemory() {
  const budgets = new Set<MemoryBudget>()
  const pools = new Set<ArenaPool>()
  const { tryTake } = MemoryBudget.prototype
  const { take, release } = ArenaPool.prototype
  const spies = [
    vi.spyOn(MemoryBudget.prototype, 'tryTake').mockImplementation(function (this: MemoryBudget, ...args) {
      budgets.add(this)
      return tryTake.apply(this, args)
    }),
    vi.spyOn(ArenaPool.prototype, 'take').mockImplementation(function (this: ArenaPool, ...args) {
      pools.add(this)
      return take.apply(this, args)
    }),
    // P-6: whoever still reads an arena that was given back reads rubbish, and the broker's CRC check tells.
    vi.spyOn(ArenaPool.prototype, 'release').mockImplementation(function (this: ArenaPool, arena) {
      release.call(this, arena)
      if (arena.holders === 0) arena.bytes.fill(0xdb)
    }),
  ]
  return {
    check() {
      for (const { peakBytes, usedBytes, usedRecords } of budgets) {
        expect(peakBytes, 'P-4: the highest use ever').toBeLessThanOrEqual(LIMIT_BYTES)
        expect([usedBytes, usedRecords], 'P-5: nothing is kept').toEqual([0, 0])
      }
      for (const pool of pools) expect(pool.stats().takenArenas, 'P-5: arenas that did not come back').toBe(0)
    },
    stop() {
      for (const spy of spies) spy.mockRestore()
    },
  }
}

/** What happened in all courses together: a property that never meets a fault proves nothing. */
const seen = { acknowledged: 0, failed: 0, dropped: 0, refused: 0, retries: 0, questions: 0 }

async function walk(settings: ProducerConfig, isWarm: boolean, steps: readonly Step[], end: Ending): Promise<void> {
  const clock = new DrivenClock().start()
  const broker = await createBroker({ nodes: 2, clock })
  const memory = watchMemory()
  try {
    broker.createTopic(TOPIC, { partitions: PARTITIONS, replicationFactor: 2 })
    const producer = new Producer(
      {
        brokers: broker.bootstrap,
        logger: silentLogger,
        retryBackoffMs: 1,
        retryBackoffMaxMs: 20,
        requestTimeoutMs: 300,
        bufferMemoryBytes: LIMIT_BYTES,
        connection: { readTimeoutMs: 100 },
        ...settings,
      },
      { clock, random: seededRandom(7) },
    )
    const course = new Course(broker, producer)
    if (isWarm) await course.warmUp()
    for (const one of steps) {
      await course.run(one)
      course.check()
    }
    if (end === 'flush') await producer.flush()
    else if (end === 'wait') {
      course.calm()
      const fromMs = clock.monotonicMs()
      while (producer.getMetrics().pendingMessages > 0 && clock.monotonicMs() - fromMs < CALM_MS) await turns(1)
      expect(producer.getMetrics().pendingMessages, 'records that nobody moves').toBe(0)
      await turns(10) // Calls that wait for memory go on by themselves too.
    } else await producer.close({ timeoutMs: end })
    course.check()
    await producer.close()
    await turns(3)
    // A codec that is still at work in its thread has its scratch until it is done.
    await until(() => producer.getMetrics().bufferUsedBytes === 0, 'free memory after close')
    course.check()
    expect(producer.getMetrics()).toMatchObject({ pendingMessages: 0, bufferUsedBytes: 0, inFlightRequests: 0 })
    const untold = course.told.filter(({ times }) => times !== 1)
    expect(
      untold.map(({ id }) => id),
      'callers not told once',
    ).toEqual([])
    await expectLogAgrees(broker, course.told)
    memory.check()
    const metrics = producer.getMetrics()
    seen.acknowledged += metrics.successMessages
    seen.failed += metrics.failedMessages
    seen.dropped += metrics.droppedMessages
    seen.refused += metrics.refusedMessages
    seen.retries += metrics.retries
    seen.questions += broker.count({ api: 'DescribeProducers' })
  } finally {
    memory.stop()
    await broker.close()
    clock.stop()
  }
}

async function expectLogAgrees(broker: Broker, told: readonly Told[]): Promise<void> {
  const histories = []
  for (let at = 0; at < PARTITIONS; at++) {
    const records = await logOf(broker, TOPIC, at)
    const log = records.map(({ offset, value }) => ({ offset, id: (value as string).split(';')[0] as string }))
    histories.push({ topic: TOPIC, partition: at, sent: told.filter((one) => one.partition === at), log })
  }
  expectFaithful(histories)
}

const numRuns = Number(process.env.RUNS ?? 150)
const seed = Number(process.env.SEED ?? 20_261_121)

describe('conservation', () => {
  it('PR-22, P-4, P-5, P-52: any course keeps the sums, the memory, one word per caller, and the log agrees', async () => {
    await fc.assert(
      fc.asyncProperty(config, warm, fc.array(step, { minLength: 3, maxLength: 60, size: 'max' }), ending, walk),
      {
        numRuns,
        seed,
        interruptAfterTimeLimit: 100_000,
        markInterruptAsFailure: true,
      },
    )
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(numRuns / 10)
    if (process.env.RUNS !== undefined) console.log(`${numRuns} courses: ${JSON.stringify(seen)}`)
  }, 120_000)
})
