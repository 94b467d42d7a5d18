/**
 * F-1: the conversations with a coordinator of KIP-848 groups that the in-process broker is held to
 * (test/broker/groups-848.test.ts), asked of the Kafka at hand. A difference means that the recording is no longer true, or
 * of another release.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { FindCoordinator } from '../../lib/protocol/index.js'
import {
  dynamicConsumers,
  refusals,
  type Stage,
  staticConsumers,
  subscribers,
} from '../broker/consumer-group-scenario.js'
import { RawClient } from '../broker/raw-client.js'
import recorded from '../fixtures/groups-848.json' with { type: 'json' }
import { eventually } from '../support/eventually.js'
import { kafkajsClient } from '../support/interop-kafkajs.js'
import { brokers, describeWithKafka, jarFolder } from '../support/real-kafka.js'

const LIMIT_MS = 20_000
/** A new coordinator says who it is a little before it has loaded its log. */
const LOADED_MS = 1000
/** What a broker needs to hear of a new topic, or to match a new pattern. */
const PAUSE_MS = 300

describeWithKafka('F-1: groups of KIP-848', () => {
  let stage: Stage

  beforeAll(async () => {
    const raw = await RawClient.connect(brokers[0] as string)
    stage = { raw, pause: () => sleep(PAUSE_MS) }
    await eventually(
      'a group has a coordinator',
      async () => {
        const answer = await raw.request(FindCoordinator, 4, { keyType: 0, coordinatorKeys: ['groups'] })
        return answer.coordinators[0]?.errorCode === 0
      },
      LIMIT_MS,
    )
    await sleep(LOADED_MS)
  })
  afterAll(() => stage.raw.close())

  it.runIf(brokers.length === 1).each([
    ['refusals', refusals, recorded.refusals],
    ['dynamic members', dynamicConsumers, recorded.dynamicConsumers],
    ['static members', staticConsumers, recorded.staticConsumers],
    ['subscriptions', subscribers, recorded.subscribers],
  ] as const)(
    'F-1: %s are answered as recorded on 4.1.1',
    async (_name, play, answers) => {
      expect(await play(stage, `b1-${play.name}-${Date.now().toString(36)}`)).toEqual(answers)
    },
    60_000,
  )
})

const JAVA_LIMIT_MS = 40_000

/** Java's console consumer as a member of the newer protocol; gives the values it printed. */
async function readAsConsumer(
  bootstrap: string,
  topic: readonly string[],
  group: string,
  count: number,
): Promise<string[]> {
  const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jarFolder ?? '', '*')]
  const tool = ['org.apache.kafka.tools.consumer.ConsoleConsumer', '--bootstrap-server', bootstrap, ...topic]
  const limits = ['--from-beginning', '--max-messages', String(count), '--timeout-ms', '20000', '--group', group]
  const properties = [
    '--consumer-property',
    'group.protocol=consumer',
    '--consumer-property',
    'auto.commit.interval.ms=100',
  ]
  const { stdout } = await promisify(execFile)('java', [...flags, ...tool, ...limits, ...properties], {
    timeout: JAVA_LIMIT_MS,
  })
  return stdout.split('\n').filter((line) => line !== '')
}

describe.skipIf(jarFolder === null)(`F-3: Java members of KIP-848 on the in-process broker`, () => {
  it.each([
    ['a name', ['--topic', 'orders'], ['orders']],
    ['a pattern', ['--include', 'ord.*s'], ['orders']],
  ])(
    'F-3: the console consumer joins by %s, shares, reads everything, commits and leaves',
    async (_by, topic, names) => {
      const broker = await createBroker({ nodes: 2 })
      try {
        for (const name of names) broker.createTopic(name, { partitions: 4, replicationFactor: 2 })
        const producer = kafkajsClient(broker.bootstrap.split(',')).producer()
        await producer.connect()
        const values = Array.from({ length: 200 }, (_, index) => `value ${index}`)
        const messages = values.map((value, index) => ({ value, partition: index % 4 }))
        await producer.send({ topic: 'orders', acks: -1, messages })
        await producer.disconnect()
        expect((await readAsConsumer(broker.bootstrap, topic, 'java', values.length)).sort()).toEqual(values.sort())
        const { kind, state, offsets } = broker.group('java')
        expect({ kind, state }).toEqual({ kind: 'consumer', state: 'Empty' })
        expect(offsets.map(({ offset }) => offset)).toEqual([50, 50, 50, 50])
        expect(broker.count({ api: 'JoinGroup' })).toBe(0)
      } finally {
        await broker.close()
      }
    },
  )

  it('F-3: two console consumers share the partitions of one group', async () => {
    const broker = await createBroker({ config: { 'group.consumer.heartbeat.interval.ms': 200 } })
    try {
      broker.createTopic('orders', { partitions: 4 })
      const topic = ['--topic', 'orders']
      const runs = [1, 2].map(() => readAsConsumer(broker.bootstrap, topic, 'java', 20))
      await broker.whenGroup('java', ({ state, members }) => {
        return state === 'Stable' && members.map(({ assignment }) => assignment?.length).join() === '2,2'
      })
      const producer = kafkajsClient(broker.bootstrap.split(',')).producer()
      await producer.connect()
      const values = Array.from({ length: 40 }, (_, index) => `value ${index}`)
      const messages = values.map((value, index) => ({ value, partition: index % 4 }))
      await producer.send({ topic: 'orders', acks: -1, messages })
      await producer.disconnect()
      expect((await Promise.all(runs)).flat().sort()).toEqual(values.sort())
    } finally {
      await broker.close()
    }
  })
})
