/**
 * F-3: consumer groups of kafkajs on the in-process broker: members come, go, crash and are sent elsewhere, and every record
 * is handled. kafkajs knows nothing of our code, so what it accepts is Kafka's protocol and not merely our reading of it.
 */
import { type Consumer, type ConsumerConfig, Kafka, logLevel } from 'kafkajs'
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, createBroker, fault, type GroupView } from '../../lib/broker/index.js'

const PARTITIONS = 6
const PER_PARTITION = 20

let broker: Broker
const started: Consumer[] = []

afterEach(async () => {
  await Promise.all(started.splice(0).map((consumer) => consumer.disconnect()))
  await broker.close()
})

const kafka = (clientId: string) =>
  new Kafka({
    clientId,
    brokers: broker.bootstrap.split(','),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 20, maxRetryTime: 50, retries: 20 },
  })

/** What the members of a test handled, as `partition:offset`, with the one that did. */
class Handled {
  readonly by = new Map<string, string[]>()
  #wanted = { count: Number.POSITIVE_INFINITY, resolve: () => {} }

  add(record: string, clientId: string): void {
    this.by.set(record, [...(this.by.get(record) ?? []), clientId])
    if (this.by.size >= this.#wanted.count) this.#wanted.resolve()
  }

  /** Settles when so many different records have been handled. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wanted = { count, resolve }
      if (this.by.size >= count) resolve()
    })
  }

  get members(): string[] {
    return [...new Set([...this.by.values()].flat())].sort()
  }

  get repeated(): string[] {
    return [...this.by].flatMap(([record, members]) => (members.length > 1 ? [record] : []))
  }
}

async function consumer(clientId: string, handled: Handled, more: Partial<ConsumerConfig> = {}): Promise<Consumer> {
  const one = kafka(clientId).consumer({
    groupId: 'g',
    heartbeatInterval: 20,
    sessionTimeout: 6000,
    rebalanceTimeout: 6000,
    maxWaitTimeInMs: 30,
    ...more,
  })
  started.push(one)
  await one.connect()
  await one.subscribe({ topic: 't', fromBeginning: true })
  await one.run({
    autoCommitThreshold: 1,
    eachMessage: async ({ partition, message }) => handled.add(`${partition}:${message.offset}`, clientId),
  })
  return one
}

async function stop(one: Consumer): Promise<void> {
  started.splice(started.indexOf(one), 1)
  await one.disconnect()
}

async function produce(): Promise<void> {
  const producer = kafka('producer').producer()
  await producer.connect()
  const messages = Array.from({ length: PARTITIONS * PER_PARTITION }, (_, index) => ({
    partition: index % PARTITIONS,
    value: `v${index}`,
  }))
  await producer.send({ topic: 't', messages })
  await producer.disconnect()
}

/** Settles when the group is stable and these clients share all partitions, each once. */
const shared = (...clientIds: string[]) =>
  broker.whenGroup('g', (group) => {
    const members = group.members.map(({ clientId }) => clientId).sort()
    return group.state === 'Stable' && String(members) === String(clientIds) && spread(group).length === PARTITIONS
  })

const spread = (group: GroupView) =>
  group.members.flatMap(({ assignment }) => assignment ?? []).map(({ partition }) => partition)
const committed = (group: GroupView) => group.offsets.map(({ partition, offset }) => [partition, offset]).sort()
const allAt = (offset: number) => Array.from({ length: PARTITIONS }, (_, partition) => [partition, offset])
const committedAt = (offset: number) =>
  broker.whenGroup('g', (group) => String(committed(group)) === String(allAt(offset)))

async function start(): Promise<void> {
  broker = await createBroker()
  broker.createTopic('t', { partitions: PARTITIONS })
}

describe('F-3: kafkajs consumer groups', () => {
  it('F-3: one member reads everything, commits, and the next one goes on where it stopped', async () => {
    await start()
    await produce()
    const first = new Handled()
    const a = await consumer('a', first)
    await first.reached(PARTITIONS * PER_PARTITION)
    await committedAt(PER_PARTITION)
    await stop(a)
    expect(broker.group('g')).toMatchObject({ state: 'Empty', members: [] })
    await produce()
    const second = new Handled()
    await consumer('b', second)
    await second.reached(PARTITIONS * PER_PARTITION)
    await committedAt(2 * PER_PARTITION)
    expect([...second.by.keys()].filter((record) => Number(record.split(':')[1]) < PER_PARTITION)).toEqual([])
    expect([first.repeated, second.repeated]).toEqual([[], []])
  })

  it('F-3: three members join one by one, share the partitions, and leave one by one; nothing is lost', async () => {
    await start()
    const handled = new Handled()
    const a = await consumer('a', handled)
    await shared('a')
    const b = await consumer('b', handled)
    await shared('a', 'b')
    await consumer('c', handled)
    await shared('a', 'b', 'c')
    expect(broker.group('g').members.map(({ assignment }) => assignment?.length)).toEqual([2, 2, 2])
    await produce()
    await handled.reached(PARTITIONS * PER_PARTITION)
    await committedAt(PER_PARTITION)
    expect(handled.members).toEqual(['a', 'b', 'c'])
    expect(handled.repeated).toEqual([])
    await stop(a)
    await shared('b', 'c')
    await stop(b)
    await shared('c')
    await produce()
    await handled.reached(2 * PARTITIONS * PER_PARTITION)
    await committedAt(2 * PER_PARTITION)
    expect(handled.repeated).toEqual([])
  })

  it('F-3: a rebalance on command, a fenced member and a lost heartbeat answer: all come back', async () => {
    await start()
    const handled = new Handled()
    await consumer('a', handled)
    await consumer('b', handled)
    await shared('a', 'b')
    const { generation } = broker.group('g')
    broker.rebalance('g')
    await broker.whenGroup('g', (group) => group.state === 'Stable' && group.generation > generation)
    await shared('a', 'b')
    const fenced = broker.group('g').members[0]?.memberId ?? ''
    broker.fence('g', fenced)
    await shared('a', 'b')
    expect(broker.group('g').members.map(({ memberId }) => memberId)).not.toContain(fenced)
    const lost = broker.on({ api: 'Heartbeat', nth: 1 }, fault.drop('after'))
    await broker.hit(lost)
    await shared('a', 'b')
    await produce()
    await handled.reached(PARTITIONS * PER_PARTITION)
    await committedAt(PER_PARTITION)
  })

  it('F-3: the coordinator moves, later it dies: members find the other one and go on from their offsets', async () => {
    // kafkajs gives its member up then and joins as a new one: the old one's session has to end soon.
    broker = await createBroker({ nodes: 3, config: { 'group.min.session.timeout.ms': 1000 } })
    broker.createTopic('t', { partitions: PARTITIONS, replicationFactor: 3 })
    const handled = new Handled()
    const quick = { sessionTimeout: 1500, retry: { initialRetryTime: 20, maxRetryTime: 50, retries: 3 } }
    await consumer('a', handled, quick)
    await consumer('b', handled, quick)
    await shared('a', 'b')
    await produce()
    await handled.reached(PARTITIONS * PER_PARTITION)
    await committedAt(PER_PARTITION)
    const next = broker.moveCoordinator('g')
    await broker.saw({ api: 'Heartbeat', node: next, count: 4 })
    await shared('a', 'b')
    await broker.kill(next)
    const { coordinator } = broker.group('g')
    expect(coordinator).not.toBe(next)
    const heartbeats = { api: 'Heartbeat', node: coordinator }
    await broker.saw({ ...heartbeats, count: broker.count(heartbeats) + 4 })
    await shared('a', 'b')
    await produce()
    await handled.reached(2 * PARTITIONS * PER_PARTITION)
    await committedAt(2 * PER_PARTITION)
  })

  it('F-3: its administrator lists, describes, resets and deletes groups', async () => {
    await start()
    const handled = new Handled()
    await produce()
    const a = await consumer('a', handled)
    await handled.reached(PARTITIONS * PER_PARTITION)
    await committedAt(PER_PARTITION)
    const admin = kafka('admin').admin()
    await admin.connect()
    try {
      expect((await admin.listGroups()).groups).toEqual([{ groupId: 'g', protocolType: 'consumer' }])
      const [described] = (await admin.describeGroups(['g'])).groups
      expect(described).toMatchObject({
        errorCode: 0,
        state: 'Stable',
        protocol: 'RoundRobinAssigner',
        members: [{ clientId: 'a' }],
      })
      await expect(admin.deleteGroups(['g'])).rejects.toThrow()
      await stop(a)
      await admin.resetOffsets({ groupId: 'g', topic: 't', earliest: true })
      const again = new Handled()
      const b = await consumer('b', again)
      await again.reached(PARTITIONS * PER_PARTITION)
      await stop(b)
      await admin.deleteGroups(['g'])
      expect(broker.group('g')).toMatchObject({ state: 'Dead', offsets: [] })
    } finally {
      await admin.disconnect()
    }
  })
})
