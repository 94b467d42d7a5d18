/**
 * Our numbers at a real broker: around the wrap of sequences, after answers that never came, and when a topic of the
 * same name is another one.
 */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type MQError, Producer } from '../../lib/index.js'
import { DescribeProducers, Fetch, Produce } from '../../lib/protocol/index.js'
import { eventually } from '../support/eventually.js'
import { createTopicNamed, readWithKafkajs, withAdmin } from '../support/interop-kafkajs.js'
import { sendUnheard, unheard } from '../support/lost-answers.js'
import { expectFaithful, type Outcome } from '../support/oracle.js'
import {
  bootstrap,
  brokers,
  createTopic,
  describeWithKafka,
  dumpAbsent,
  dumpPartition,
  restartNode,
  sharedKafka,
} from '../support/real-kafka.js'
import { TcpProxy } from '../support/tcp-proxy.js'

const LAST_SEQUENCE = 2 ** 31 - 1
const DAY_MS = 86_400_000
const NEAR_THE_WRAP = LAST_SEQUENCE - 2

/** A broker that does not know a producer takes any first sequence (kafka.md B-8), so a lane may begin near the wrap. */
const lanes = vi.hoisted(() => ({ firstSequence: 0 }))
vi.mock('../../lib/producer/identity.js', async (original) => {
  const module = await original<typeof import('../../lib/producer/identity.js')>()
  class LaneIdentity extends module.LaneIdentity {
    constructor(producerId: bigint) {
      super(producerId, lanes.firstSequence)
    }
  }
  return { ...module, LaneIdentity }
})

const mayRestart = sharedKafka.stateFolder !== null
const ends: (() => Promise<unknown>)[] = []
beforeEach(() => {
  lanes.firstSequence = 0
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function producerWith(config: ConstructorParameters<typeof Producer>[0] = {}): { producer: Producer; proxy: TcpProxy } {
  const proxy = new TcpProxy()
  const producer = new Producer({ brokers: bootstrap, logLevel: 'silent', ...config }, { dial: proxy.dial })
  ends.push(
    () => proxy.close(),
    () => producer.close({ timeoutMs: 1_000 }),
  )
  return { producer, proxy }
}

const sendMany = (producer: Producer, topic: string, values: readonly string[]) =>
  Promise.all(values.map((value) => producer.sendSync(topic, value, { partition: 0 })))

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name} ${index}`)
const valuesOf = async (topic: string) => (await readWithKafkajs(brokers, topic)).map(({ value }) => String(value))

describeWithKafka('sequences around the wrap', () => {
  for (const compression of ['none', 'lz4'] as const) {
    it(`P-25: a ${compression} batch that straddles 2147483647 is stored, and the next ones follow`, async () => {
      lanes.firstSequence = NEAR_THE_WRAP
      const topic = await createTopic('wrap')
      const { producer } = producerWith({ compression })
      const rounds = [numbered('straddling', 10), numbered('after', 5), numbered('last', 1)]
      const answers: number[] = []
      for (const values of rounds)
        answers.push(...(await sendMany(producer, topic, values)).map(({ offset }) => offset))
      expect(answers).toEqual(Array.from({ length: 16 }, (_, index) => index))
      expect(await valuesOf(topic)).toEqual(rounds.flat())
      if (dumpAbsent !== null) return
      const batches = await dumpPartition(topic, 0)
      expect(batches.map(({ baseSequence, lastSequence, isValid }) => [baseSequence, lastSequence, isValid])).toEqual([
        [NEAR_THE_WRAP, 6, true],
        [7, 11, true],
        [12, 12, true],
      ])
    })
  }

  it.each([
    ['ends at 2147483647', 3],
    ['straddles it', 8],
  ])('P-25, P-28: a batch that %s is recognised when it comes again', async (_, records) => {
    lanes.firstSequence = NEAR_THE_WRAP
    const topic = await createTopic('wrap-again')
    const { producer, proxy } = producerWith()
    let cuts = 2
    proxy.plan = ({ apiKey }) => (apiKey === Produce.key && cuts-- > 0 ? { kind: 'cutAnswer' } : null)
    const answers = await sendMany(producer, topic, numbered('again', records))
    expect(answers.map(({ offset }) => offset)).toEqual(answers.map((_, index) => index))
    await sendMany(producer, topic, ['next'])
    expect(await valuesOf(topic)).toEqual([...numbered('again', records), 'next'])
    expect(proxy.troubles.get('cutAnswer')).toBe(2)
  })
})

describeWithKafka('answers that never came', () => {
  it.runIf(mayRestart).each([
    ['', 0],
    [' across the wrap of sequences', NEAR_THE_WRAP],
  ])('P-26: batches that the broker remembers no more are found in its log%s', async (_, firstSequence) => {
    lanes.firstSequence = firstSequence
    const topic = await createTopic('unheard')
    const { producer, proxy } = producerWith()
    await sendMany(producer, topic, ['first'])
    const sends = await sendUnheard({ producer, proxy, brokers, topic }, 4, 3)
    proxy.plan = () => null
    await restartNode(sharedKafka, 'clean')
    const answers = await Promise.all(sends)
    expect(answers.map(({ offset }) => offset)).toEqual(sends.map((_, index) => 1 + index))
    await sendMany(producer, topic, ['last'])
    expect(await valuesOf(topic)).toEqual(['first', ...sends.map((_, index) => unheard(index)), 'last'])
    // All but the last batch: that one the broker remembers, and answers as a duplicate.
    expect(proxy.seen(DescribeProducers.key)).toBeGreaterThanOrEqual(3)
    expect(proxy.seen(Fetch.key)).toBeGreaterThanOrEqual(3)
  })

  it.runIf(mayRestart).each(['clean', 'kill'] as const)(
    'B-11, P-28: a batch of old records, which a broker forgets when it restarts (%s), is not stored twice',
    async (kind) => {
      const topic = await createTopic('old-records')
      const { producer, proxy } = producerWith()
      const options = { timestamp: Date.now() - 2 * DAY_MS }
      await producer.sendSync(topic, 'first', options)
      const sends = await sendUnheard({ producer, proxy, brokers, topic }, 1, 3, options)
      const behind = producer.sendSync(topic, 'behind', options)
      proxy.plan = () => null
      await restartNode(sharedKafka, kind)
      expect((await Promise.all([...sends, behind])).map(({ offset }) => offset)).toEqual([1, 2, 3, 4])
      expect(await valuesOf(topic)).toEqual(['first', unheard(0), unheard(1), unheard(2), 'behind'])
      expect(proxy.seen(DescribeProducers.key)).toBeGreaterThan(0)
    },
  )

  it('P-26, P-29: what expires unheard may be persisted; what stands behind it is found in the log', async () => {
    const topic = await createTopic('expired')
    const { producer, proxy } = producerWith({
      deliveryTimeoutMs: 4_000,
      requestTimeoutMs: 2_500,
      connection: { readTimeoutMs: 400 },
    })
    await sendMany(producer, topic, ['first'])
    const wish = { producer, proxy, brokers, topic }
    const [early] = await sendUnheard(wish, 1, 1)
    const startedMs = Date.now()
    await eventually('some time has passed', () => Date.now() - startedMs > 1_800, 5_000)
    const [late] = await sendUnheard(wish, 1, 1)
    const failure = await (early as Promise<unknown>).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'TIMEOUT', context: { persistence: 'possibly-persisted' } })
    expect(await late).toMatchObject({ offset: 2 })
    proxy.plan = () => null
    expect(await sendMany(producer, topic, ['last'])).toMatchObject([{ offset: 3 }])
    expect(await valuesOf(topic)).toEqual(['first', unheard(0), unheard(0), 'last'])
  })
})

interface Sent {
  readonly id: string
  outcome: Outcome
  offset: number
  code: string
  /** Told after the second topic was asked for. */
  isLate: boolean
}

describeWithKafka('a topic that is deleted and created again', () => {
  it.each([1, 3])(
    'P-41: with %s partition(s) nothing made for the old one reaches the new one, and new records do',
    async (partitions) => {
      const topic = await createTopic('recreated', { partitions })
      const { producer } = producerWith()
      const sent: Sent[][] = Array.from({ length: partitions }, () => [])
      let isRecreated = false
      let acknowledged = 0
      let isStopped = false
      const send = (partition: number) => {
        const lane = sent[partition] as Sent[]
        const record: Sent = {
          id: `${partition}-${lane.length}`,
          outcome: 'pending',
          offset: -1,
          code: '',
          isLate: false,
        }
        lane.push(record)
        producer.sendAsync(topic, record.id, { partition }, (error: MQError | null, metadata) => {
          record.isLate = isRecreated
          record.code = error?.code ?? ''
          record.offset = metadata?.offset ?? -1
          record.outcome = error === null ? 'acknowledged' : (error.context.persistence as Outcome)
          if (error === null) acknowledged++
        })
      }
      const load = (async () => {
        while (!isStopped) {
          for (let partition = 0; partition < partitions; partition++) send(partition)
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      })()
      const more = async (count: number) => {
        const until = acknowledged + count
        const told = () => `${acknowledged}: ${JSON.stringify(sent[0]?.at(-1))}`
        await eventually(`${until} acknowledged`, () => acknowledged >= until, 30_000, told)
      }
      try {
        await more(500)
        await withAdmin(brokers, async (admin) => {
          await admin.deleteTopics({ topics: [topic] })
          await eventually('it is gone', async () => !(await admin.listTopics()).includes(topic), 10_000)
        })
        isRecreated = true
        await createTopicNamed(brokers, topic, partitions)
        await more(500)
      } finally {
        isStopped = true
      }
      await load
      await producer.flush()
      const codes = new Set(sent.flat().map(({ code }) => code))
      expect([...codes].sort()).toEqual(['', 'TOPIC_NOT_FOUND'])
      const log = await readWithKafkajs(brokers, topic)
      expectFaithful(
        sent.map((lane, partition) => ({
          topic,
          partition,
          // What was acknowledged before went with the old topic: "not-persisted" forbids it in the new one.
          sent: lane.map(({ id, outcome, offset, isLate }) =>
            outcome === 'acknowledged' && !isLate ? { id, outcome: 'not-persisted' } : { id, outcome, offset },
          ),
          log: log
            .filter((record) => record.partition === partition)
            .map(({ offset, value }) => ({ offset, id: String(value) })),
        })),
      )
      expect(log.length).toBeGreaterThanOrEqual(500)
    },
  )

  it('P-62, K-9: one that stays away fails its own records only, and works again when it comes back', async () => {
    const [topic, other] = [await createTopic('deleted'), await createTopic('stays')]
    const { producer } = producerWith({ unknownTopicRetries: 3 })
    await Promise.all([topic, other].map((name) => producer.sendSync(name, 'before')))
    await withAdmin(brokers, (admin) => admin.deleteTopics({ topics: [topic] }))
    const refused = producer.sendSync(topic, 'gone').catch((error: unknown) => error)
    for (let offset = 1; offset < 50; offset++) {
      expect(await producer.sendSync(other, 'meanwhile')).toMatchObject({ offset })
    }
    expect(await refused).toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    await createTopicNamed(brokers, topic, 1)
    // At most one send still meets the old topic; its answer is what tells us of the new one.
    const first = await producer.sendSync(topic, 'after').catch((error: unknown) => error)
    if (first instanceof Error) {
      expect(first).toMatchObject({ code: 'TOPIC_NOT_FOUND' })
      expect(await producer.sendSync(topic, 'after')).toMatchObject({ offset: 0 })
    }
    expect(await valuesOf(topic)).toEqual(['after'])
  })
})
