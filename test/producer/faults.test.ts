/**
 * Nothing lost, nothing doubled, order kept, whatever goes wrong on the way (PR-12, PR-13, PR-22, kafka.md 8).
 * A seed decides what goes wrong and when; the oracle compares what was acknowledged with what the brokers stored.
 */
import { describe, expect, it } from 'vitest'
import { type Broker, type Fault, type FaultHandle, fault } from '../../lib/broker/index.js'
import type { ProducerConfig, ProducerUpdate } from '../../lib/config/index.js'
import type { Producer } from '../../lib/producer/index.js'
import {
  type Clock,
  type RandomSource,
  randomInt,
  type SendHook,
  seededRandom,
  systemClock,
} from '../../lib/util/index.js'
import { DrivenClock, drivenClock } from '../support/driven-clock.js'
import { expectFaithful, type LaneHistory, type SentRecord } from '../support/oracle.js'
import { logOf, newProducer, startBroker } from './support.js'

const TOPIC = 'orders'
const PARTITIONS = 6
const BROKERS = [1, 2, 3]
/** Codes after which nothing is lost: the record is retried or the batch is split. */
const RETRYABLE = [3, 5, 6, 7, 8, 9, 13, 20, 56, 74, 75, 89]
/** Codes by which a broker swears that it wrote nothing: they never come after an append. */
const NEVER_AFTER = [2, 19]

interface Sent {
  readonly id: string
  readonly partition: number
  outcome: SentRecord['outcome']
  offset: number
}

const pick = <T>(random: RandomSource, list: readonly T[]): T => list[randomInt(random, list.length)] as T

/** Faults that act on requests of the producer. */
function requestFault(random: RandomSource): Fault {
  const kinds: (() => Fault)[] = [
    () => fault.error(pick(random, RETRYABLE), { when: pick(random, ['before', 'after']) }),
    () => fault.error(6, { when: 'before', hint: true }),
    () => fault.error(19),
    () => fault.drop('before'),
    () => fault.drop('after'),
    () => fault.disconnect({ afterBytes: randomInt(random, 40) }),
    () => fault.delay(1 + randomInt(random, 15)),
    () => fault.truncate(1 + randomInt(random, 8)),
    () => fault.wrongCorrelation(),
    () => fault.corrupt({ offset: 4 }),
    () => fault.garbage(Buffer.from('not a frame of Kafka')),
    () => fault.throttle(5),
    () => fault.extraTags(),
  ]
  return pick(random, kinds)()
}

/** Faults of the brokers themselves. */
async function brokerFault(broker: Broker, random: RandomSource): Promise<void> {
  const partition = randomInt(random, PARTITIONS)
  const victim = pick(random, BROKERS)
  switch (randomInt(random, 6)) {
    case 0: {
      const { isr, leader } = broker.log(TOPIC, partition)
      const others = isr.filter((id) => id !== leader)
      if (others.length > 0) broker.moveLeader({ topic: TOPIC, partition }, pick(random, others))
      return
    }
    case 1:
      await broker.kill(victim)
      return broker.start(victim)
    case 2:
      await broker.stop(victim)
      return broker.start(victim)
    case 3:
      return broker.disconnect(victim)
    case 4:
      return broker.disconnect()
    default:
      return broker.evictSessions(victim)
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

interface Course {
  readonly records: number
  /** A fault, and perhaps a broker's trouble, each so many records. */
  readonly faultEvery: number
  /** The event loop turns each so many records: batches leave. */
  readonly turnEvery: number
  readonly maxPending: number
  /** Called after each fault, with a number that rises. */
  readonly also?: (producer: Producer, step: number) => void
}

interface Run {
  readonly sent: Sent[]
  readonly faults: FaultHandle[]
}

async function run(broker: Broker, producer: Producer, course: Course, random: RandomSource): Promise<Run> {
  const sent: Sent[] = []
  const faults: FaultHandle[] = []
  const { records, faultEvery, turnEvery, maxPending } = course
  for (let record = 0; record < records; record++) {
    const one: Sent = { id: `r${record}`, partition: randomInt(random, PARTITIONS), outcome: 'pending', offset: -1 }
    sent.push(one)
    const isBelowLimit = producer.sendAsync(TOPIC, one.id, { partition: one.partition }, (error, metadata) => {
      one.outcome = error === null ? 'acknowledged' : (error.context.persistence ?? 'possibly-persisted')
      one.offset = metadata?.offset ?? -1
    })
    if (!isBelowLimit) await producer.ready()
    if (record % turnEvery === turnEvery - 1) await turn()
    // Many small batches instead of a few large ones: the client stays a little ahead of the brokers, not far.
    while (producer.getMetrics().pendingMessages > maxPending) await turn()
    if (record % faultEvery !== faultEvery - 1) continue
    const partition = pick(random, [undefined, randomInt(random, PARTITIONS)])
    const matcher = partition === undefined ? { api: 'Produce' } : { api: 'Produce', topic: TOPIC, partition }
    faults.push(
      broker.on({ ...matcher, nth: 1 + randomInt(random, 3), times: 1 + randomInt(random, 3) }, requestFault(random)),
    )
    if (randomInt(random, 3) === 0) await brokerFault(broker, random)
    course.also?.(producer, faults.length)
    await turn()
  }
  return { sent, faults }
}

async function expectAllThere(broker: Broker, sent: readonly Sent[], seed: number): Promise<void> {
  const histories: LaneHistory[] = []
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = (await logOf(broker, TOPIC, partition)).map(({ offset, value }) => ({ offset, id: value as string }))
    histories.push({ topic: TOPIC, partition, sent: sent.filter((one) => one.partition === partition), log })
  }
  expectFaithful(histories, { seed, replay: `SEED=${seed} npx vitest run test/producer/faults.test.ts` })
}

async function marathon(
  seed: number,
  course: Course,
  clock: Clock = systemClock,
  config: ProducerConfig = {},
  hooks: SendHook | null = null,
): Promise<Producer> {
  const broker = await startBroker({ nodes: 3, clock })
  broker.createTopic(TOPIC, { partitions: PARTITIONS, replicationFactor: 3 })
  const base = { requestTimeoutMs: 1000, connection: { readTimeoutMs: 500 } }
  const producer = newProducer(broker, { ...base, ...config }, { clock, hooks })
  const { records } = course
  const { sent, faults } = await run(broker, producer, course, seededRandom(seed))
  await producer.flush({ timeoutMs: 30_000 })
  await expectAllThere(broker, sent, seed)
  const failed = sent.filter((one) => one.outcome !== 'acknowledged')
  expect(failed, 'every fault here can be survived').toEqual([])
  const metrics = producer.getMetrics()
  expect(metrics.totalMessages).toBe(records)
  expect(metrics.successMessages + metrics.failedMessages + metrics.droppedMessages + metrics.pendingMessages).toBe(
    records,
  )
  const hits = faults.reduce((sum, one) => sum + one.hits, 0)
  console.log(
    `seed ${seed}: ${records} records, ${hits} faulty requests, ${metrics.retries} batches retried, ${metrics.requests} requests`,
  )
  expect(hits, 'faults that acted').toBeGreaterThan(records / course.faultEvery / 2)
  expect(metrics.retries).toBeGreaterThan(0)
  return producer
}

const fixedSeed = process.env.SEED === undefined ? undefined : Number(process.env.SEED)

describe('faults at every step', () => {
  it('PR-12, PR-13, PR-22: 100,000 records through 400 faults and 130 troubles of brokers: nothing lost, nothing doubled, order kept', async () => {
    const course = { records: 100_000, faultEvery: 250, turnEvery: 50, maxPending: 1000 }
    await marathon(fixedSeed ?? 20_261_121, course, drivenClock())
  }, 120_000)

  const denseCourse = { records: 3000, faultEvery: 40, turnEvery: 20, maxPending: 200 }

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    'PR-12, PR-22: seed %i, a fault every 40 records',
    async (seed) => {
      await marathon(fixedSeed ?? seed, denseCourse, drivenClock())
    },
    60_000,
  )

  const updates: readonly ProducerUpdate[] = [
    { maxInFlight: 1, compression: 'gzip' },
    { maxInFlight: 5, lingerMs: 0, batchBytes: 300 },
    { switchStrategy: 'size', batchMaxRecords: 5 },
    { maxInFlight: 2, lingerMs: 20, compression: 'none' },
    { switchStrategy: 'default', batchBytes: 16_384, maxInFlight: 5 },
  ]

  it.each([21, 22, 23, 24, 25])(
    'PR-10, PR-11, PR-19, PR-23: seed %i, with circuits, adaptive batches, an observer, and other settings after each fault',
    async (seed) => {
      const ends: number[] = []
      let notClosed = 0 // faults after which a circuit was not closed
      const hook: SendHook = {
        send: () => {
          const at = ends.push(0) - 1
          return { headers: [['n', `${at}`]], end: () => (ends[at] = (ends[at] as number) + 1) }
        },
      }
      const course: Course = {
        ...denseCourse,
        also: (producer, step) => {
          producer.updateConfig(updates[step % updates.length] as ProducerUpdate)
          if (producer.getMetrics().circuitState !== 'closed') notClosed++
        },
      }
      const circuitBreaker = { enabled: true, failures: 2, successes: 1, timeoutMs: 100 }
      const adaptiveBatch = { enabled: true, minBytes: 100, targetLatencyMs: 5 }
      const config = { circuitBreaker, adaptiveBatch, connection: { readTimeoutMs: 500, retryBackoffMaxMs: 100 } }
      const producer = await marathon(fixedSeed ?? seed, course, drivenClock(), config, hook)
      expect(notClosed, 'circuits took part').toBeGreaterThan(5)
      expect(ends.length).toBe(course.records)
      expect(
        ends.filter((times) => times !== 1),
        'ends told never, or twice',
      ).toEqual([])
      const { lanes, accepted, acknowledged } = producer.measures()
      expect([lanes.writes, lanes.reads, lanes.activeRecords]).toEqual([accepted, acknowledged, 0])
    },
    60_000,
  )

  it('PR-12, PR-22: seed 11, a fault every 40 records, in real time', async () => {
    await marathon(fixedSeed ?? 11, denseCourse)
  }, 60_000)
})

describe('an error at each position', () => {
  const faults: [string, Fault][] = [
    ...[-1, ...NEVER_AFTER, ...RETRYABLE].map((code): [string, Fault] => [
      `code ${code} before append`,
      fault.error(code),
    ]),
    ...RETRYABLE.map((code): [string, Fault] => [`code ${code} after append`, fault.error(code, { when: 'after' })]),
    ['cut before append', fault.drop('before')],
    ['cut after append', fault.drop('after')],
    ['cut in the answer', fault.disconnect({ afterBytes: 11 })],
    ['a wrong correlation id', fault.wrongCorrelation()],
  ]

  it.each(faults)(
    'P-22, K-1: %s, at each of the first eight requests, once and five times',
    async (_name, what) => {
      for (const times of [1, 5]) {
        for (let nth = 1; nth <= 8; nth++) {
          const clock = new DrivenClock().start()
          const broker = await startBroker({ clock })
          broker.createTopic(TOPIC, { partitions: PARTITIONS })
          const producer = newProducer(broker, { lingerMs: 0, batchBytes: 200, retryBackoffMaxMs: 2 }, { clock })
          const handle = broker.on({ api: 'Produce', nth, times: codeIsLimited(what) ? 1 : times }, what)
          const course = { records: 200, faultEvery: Number.POSITIVE_INFINITY, turnEvery: 10, maxPending: 60 }
          const { sent } = await run(broker, producer, course, seededRandom(nth))
          await producer.flush({ timeoutMs: 10_000 })
          await expectAllThere(broker, sent, nth)
          expect(sent.filter((one) => one.outcome !== 'acknowledged')).toEqual([])
          expect(handle.hits, `requests it acted on, from number ${nth}`).toBeGreaterThan(0)
          await producer.close()
          await broker.close()
          clock.stop()
        }
      }
    },
    60_000,
  )
})

/** -1 and 2 are final after a few tries, which is their rule and not a loss. */
function codeIsLimited(what: Fault): boolean {
  return what.kind === 'error' && (what.code === -1 || what.code === 2)
}
