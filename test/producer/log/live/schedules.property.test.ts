/**
 * Random schedules over a broker with faults and a log whose disk is slow, full, or holds: nothing is lost, doubled or
 * reordered, each caller is told once, and the log sees nothing that wal.md forbids.
 */
import { expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker, fault } from '../../../../lib/broker/index.js'
import { Producer } from '../../../../lib/producer/index.js'
import { type RandomSource, randomInt, seededRandom, silentLogger } from '../../../../lib/util/index.js'
import { drivenClock } from '../../../support/driven-clock.js'
import { turns, until } from '../../support.js'
import { valuesOf } from '../support.js'
import { ScriptedWal } from './scripted-wal.js'

const SCHEDULES = 500
const STEPS = 12
const NOT_LEADER = 6
const STORAGE = 56

interface Run {
  readonly broker: Broker
  readonly producer: Producer
  readonly wal: ScriptedWal
  readonly random: RandomSource
  readonly topic: string
  readonly sent: string[][]
  /** By record: how often its caller was told, and what at last. */
  readonly told: Map<string, { times: number; error: unknown }>
}

function send(run: Run): void {
  const { random, producer, topic, sent, told } = run
  const partition = randomInt(random, 2)
  const count = 1 + randomInt(random, 30)
  const size = [5, 100, 1000][randomInt(random, 3)] as number
  const isDurable = randomInt(random, 2) === 0
  for (let index = 0; index < count; index++) {
    const value = `${topic}.${partition}.${(sent[partition] as string[]).length}.${'x'.repeat(size)}`
    ;(sent[partition] as string[]).push(value)
    const fate = { times: 0, error: null as unknown }
    told.set(value, fate)
    const promise: Promise<unknown> = isDurable
      ? producer.sendDurable(topic, value, { partition })
      : producer.sendSync(topic, value, { partition })
    promise.then(
      () => fate.times++,
      (error: unknown) => {
        fate.times++
        fate.error = error
      },
    )
  }
}

const STEPS_OF: readonly ((run: Run) => void | Promise<void>)[] = [
  send,
  send,
  send,
  ({ random }) => turns(1 + randomInt(random, 6)),
  ({ random }) => turns(1 + randomInt(random, 6)),
  ({ wal, random }) => {
    const slow = randomInt(random, 4)
    wal.delay = () => slow
  },
  ({ wal }) => {
    wal.isHeld = true
  },
  ({ wal }) => wal.release(),
  ({ wal }) => {
    wal.capacity = wal.unsettledBytes + 1000
  },
  ({ wal }) => wal.giveRoom(),
  ({ broker, random, topic }) => {
    const codes = [NOT_LEADER, STORAGE]
    const code = codes[randomInt(random, codes.length)] as number
    const when = code === STORAGE && randomInt(random, 2) === 0 ? 'after' : 'before'
    broker.on({ api: 'Produce', topic, times: 1 + randomInt(random, 2) }, fault.error(code, { when }))
  },
  ({ broker, random }) => {
    broker.on({ api: 'Produce', times: 1 }, fault.drop(randomInt(random, 2) === 0 ? 'before' : 'after'))
  },
  ({ broker }) => broker.disconnect(),
  // Any record fits, hardly any batch does.
  ({ broker, topic, random }) =>
    broker.setTopicConfig(topic, 'max.message.bytes', [1500, 6000, null][randomInt(random, 3)] as never),
  ({ broker, random, topic }) => {
    const ids = broker.brokerIds
    broker.moveLeader({ topic, partition: randomInt(random, 2) }, ids[randomInt(random, ids.length)] as number)
  },
]

async function schedule(seed: number, run: Run): Promise<void> {
  for (let step = 0; step < STEPS; step++) {
    await (STEPS_OF[randomInt(run.random, STEPS_OF.length)] as (run: Run) => void | Promise<void>)(run)
  }
  run.wal.giveRoom()
  run.wal.release()
  await run.producer.flush({ timeoutMs: 600_000 })
  await until(() => [...run.told.values()].every(({ times }) => times > 0), `seed ${seed}: everybody told`)
  run.wal.look()
  const seen = await valuesOf(run.broker, run.topic, 2)
  const got = {
    violations: run.wal.violations,
    values: seen.map((values) => values.map((value) => value.slice(0, 20))),
  }
  const want = run.sent.map((values) => values.map((value) => value.slice(0, 20)))
  expect(got, `seed ${seed}`).toEqual({ violations: [], values: want })
  for (const [value, { times, error }] of run.told) {
    expect([value.slice(0, 20), times, error], `seed ${seed}`).toEqual([value.slice(0, 20), 1, null])
  }
  expect(run.wal.unsettled, `seed ${seed}`).toEqual([])
  const { totalMessages, successMessages } = run.producer.getMetrics()
  expect(successMessages, `seed ${seed}`).toBe(totalMessages)
}

it(`WA-2, WA-5, P-56, P-57: ${SCHEDULES} schedules of faults and of a slow, full or waiting log`, async () => {
  const first = Number(process.env.TANDEM_SEED ?? 1)
  const clock = drivenClock()
  clock.stepMs = 5
  const broker = await createBroker({ clock, nodes: 2 })
  onTestFinished(() => broker.close())
  for (let seed = first; seed < first + SCHEDULES; seed++) {
    const random = seededRandom(seed)
    const topic = `orders-${seed}`
    broker.forgetRequests()
    broker.createTopic(topic, { partitions: 2, replicationFactor: 2 })
    const wal = new ScriptedWal(broker)
    const compression = (['none', 'zstd', 'lz4'] as const)[randomInt(random, 3)] ?? 'none'
    const producer = new Producer(
      {
        brokers: broker.bootstrap,
        logger: silentLogger,
        retryBackoffMs: 1,
        retryBackoffMaxMs: 5,
        compression,
        batchBytes: 1000,
        maxBatchBytes: 32_768,
        deliveryTimeoutMs: 600_000,
        bufferMemoryBytes: [256 * 1024, 4 * 1024 * 1024][randomInt(random, 2)] as number,
        wal: { durability: 'immediate', dir: '/nowhere', maxBytes: 16 * 1024 * 1024, minFreeBytes: 1024 * 1024 },
      },
      {
        clock,
        openWal: async (_options, events) => {
          wal.events = events
          return wal
        },
      },
    )
    try {
      await schedule(seed, { broker, producer, wal, random, topic, sent: [[], []], told: new Map() })
    } finally {
      await producer.close({ timeoutMs: 0 })
      broker.deleteTopic(topic)
    }
  }
}, 120_000)
