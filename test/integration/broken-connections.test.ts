/**
 * Connections to a real Kafka that break at every point: before a request arrives, inside it, after the broker has
 * appended and before its answer, inside the answer; and connections that just fall silent.
 * Why: only here it is Kafka that decides whether a request without an answer was written, and only a reader of its log
 * can say whether our producer found out.
 */
import { afterEach, expect, it } from 'vitest'
import { Cluster } from '../../lib/cluster/index.js'
import { Consumer, Producer } from '../../lib/index.js'
import { ApiVersions, Fetch, InitProducerId, ListOffsets, Metadata, Produce } from '../../lib/protocol/index.js'
import { type RandomSource, randomInt, seededRandom } from '../../lib/util/index.js'
import { eventually } from '../support/eventually.js'
import { readWithKafkajs } from '../support/interop-kafkajs.js'
import { hasKcat, readWithKcat } from '../support/interop-kcat.js'
import { Ledger } from '../support/interop-ledger.js'
import { bootstrap, brokers, createTopic, describeWithKafka } from '../support/real-kafka.js'
import { type Plan, TcpProxy, type Trouble } from '../support/tcp-proxy.js'

const RECORDS = 20_000
const MAX_PADDING = 400
const MAX_DELAY_MS = 60
/** Each kind of trouble must have happened so often before a run may end. */
const TIMES = 4
const RUN_LIMIT_MS = 60_000
const SEED = Number(process.env.SEED ?? 40_417)
/** A silent broker is given up after both together. */
const LIMITS = { requestTimeoutMs: 800, connection: { readTimeoutMs: 400 } }

const KINDS: readonly Trouble['kind'][] = [
  'cutRequest',
  'cutInsideRequest',
  'cutAnswer',
  'cutInsideAnswer',
  'silence',
  'delayRequest',
  'delayAnswer',
]

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

function proxyWith(plan: Plan): TcpProxy {
  const proxy = new TcpProxy()
  proxy.plan = plan
  ends.push(() => proxy.close())
  return proxy
}

/** Of the named requests one in `oneIn` meets trouble; silence is dear in time and therefore rare. */
function seededTroubles(random: RandomSource, oneIn: ReadonlyMap<number, number>): Plan {
  return ({ apiKey }) => {
    const chance = oneIn.get(apiKey)
    if (chance === undefined || random.next() * chance >= 1) return null
    const kind = KINDS[randomInt(random, KINDS.length)] as Trouble['kind']
    if (kind === 'silence' && random.next() < 0.7) return null
    return { kind, part: random.next(), ms: randomInt(random, MAX_DELAY_MS) } as Trouble
  }
}

const missing = (proxy: TcpProxy) => KINDS.filter((kind) => (proxy.troubles.get(kind) ?? 0) < TIMES)
const story = (proxy: TcpProxy) => `troubles so far ${JSON.stringify([...proxy.troubles])}`
const readLog = (topic: string) => (hasKcat ? readWithKcat : readWithKafkajs)(brokers, topic)

describeWithKafka('connections that break', () => {
  for (const { compression, partitions } of [
    { compression: 'lz4', partitions: 6 },
    { compression: 'none', partitions: 1 },
  ] as const) {
    it(`P-22, P-28, P-45: ${RECORDS} records, ${partitions} partition(s), ${compression}: none lost, none doubled`, async () => {
      const topic = await createTopic('broken', { partitions })
      const random = seededRandom(SEED + partitions)
      const chances = new Map<number, number>([
        [Produce.key, 8],
        [Metadata.key, 6],
        [InitProducerId.key, 2],
        [ApiVersions.key, 20],
      ])
      const proxy = proxyWith(seededTroubles(random, chances))
      const producer = new Producer(
        { brokers: bootstrap, logLevel: 'silent', compression, ...LIMITS },
        { dial: proxy.dial },
      )
      ends.push(() => producer.close({ timeoutMs: 2_000 }))
      const ledger = new Ledger(producer, topic)
      const padding = () => 'x'.repeat(randomInt(random, MAX_PADDING))
      const load = ledger.keepSending(partitions, padding, Math.ceil(3 / partitions))
      try {
        await eventually(
          'every trouble was met',
          () => missing(proxy).length === 0,
          RUN_LIMIT_MS,
          () => story(proxy),
        )
        await ledger.untilAcknowledged(RECORDS)
      } finally {
        load.stop()
      }
      await load.done
      await producer.flush()
      const log = await readLog(topic)
      ledger.judge(log, { seed: SEED })
      expect(ledger.outcomes()).toEqual({ acknowledged: log.length })
      expect(producer.getMetrics().retries).toBeGreaterThan(TIMES)
    })
  }

  it('C-1, C-20, C-5: the consumer reads every record once and in order over such connections', async () => {
    const partitions = 6
    const topic = await createTopic('broken-read', { partitions })
    const chances = new Map<number, number>([
      [Fetch.key, 8],
      [ListOffsets.key, 3],
      [Metadata.key, 6],
    ])
    const proxy = proxyWith(seededTroubles(seededRandom(SEED), chances))
    const [host = '', port = ''] = (brokers[0] ?? '').split(':')
    const cluster = new Cluster(
      { brokers: [{ host, port: Number(port) }], readTimeoutMs: LIMITS.connection.readTimeoutMs },
      { dial: proxy.dial },
    )
    ends.push(() => cluster.close())
    const consumer = new Consumer(
      { autoOffsetReset: 'earliest', logLevel: 'silent', fetchMaxWaitMs: 100, fetchMaxBytes: 65_536 },
      { cluster },
    )
    ends.push(() => consumer.close({ timeoutMs: 2_000 }))
    const troubles: string[] = []
    consumer.on('error', (error) => troubles.push(String(error)))
    consumer.on('reset', (event) => troubles.push(JSON.stringify(event)))
    const seen: string[][] = Array.from({ length: partitions }, () => [])
    await consumer.assign([topic], ({ partition, offset, value }) => {
      seen[partition]?.push(`${offset} ${value}`)
    })

    const producer = new Producer({ brokers: bootstrap, logLevel: 'silent' })
    ends.push(() => producer.close({ timeoutMs: 2_000 }))
    const ledger = new Ledger(producer, topic)
    const load = ledger.keepSending(partitions)
    try {
      await eventually(
        'every trouble was met',
        () => missing(proxy).length === 0,
        RUN_LIMIT_MS,
        () => story(proxy),
      )
      await ledger.untilAcknowledged(RECORDS)
    } finally {
      load.stop()
    }
    await load.done
    await producer.flush()
    const log = await readLog(topic)
    const count = () => seen.reduce((sum, { length }) => sum + length, 0)
    await eventually(
      'the consumer is at the end',
      () => count() >= log.length,
      RUN_LIMIT_MS,
      () => {
        return `${count()} of ${log.length} records, ${story(proxy)}, ${troubles[0] ?? 'no error'}`
      },
    )
    for (let partition = 0; partition < partitions; partition++) {
      const wanted = log.filter((record) => record.partition === partition)
      expect(seen[partition]).toEqual(wanted.map(({ offset, value }) => `${offset} ${value}`))
    }
    expect(troubles).toEqual([])
  })
})
