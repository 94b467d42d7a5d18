/**
 * A whole Consumer in a group, both protocols, against a broker in this process on virtual time.
 * Why besides the tests of members, committer and session: what a user is promised holds only if these fit together;
 * here nothing is scripted but the broker's faults.
 * Invariant: records are compared as strings and in order, requests are counted, time is that of the clock.
 */
import { describe, expect, it } from 'vitest'
import { type Broker, type BrokerOptions, fault } from '../../../lib/broker/index.js'
import type { Consumer } from '../../../lib/consumer/index.js'
import { MQError } from '../../../lib/errors/index.js'
import type { DecodedRequestOf, OffsetCommit } from '../../../lib/protocol/index.js'
import { deferred } from '../../../lib/util/index.js'
import { type DrivenClock, drivenClock } from '../../support/driven-clock.js'
import { bench, expected, Seen } from '../support.js'

const on = bench()
const PROTOCOLS = ['classic', 'consumer'] as const
const GROUP_APIS = ['JoinGroup', 'SyncGroup', 'LeaveGroup']

type Config = NonNullable<Parameters<typeof on.consumer>[0]>

class Stage {
  readonly broker: Broker
  readonly clock: DrivenClock
  readonly protocol: (typeof PROTOCOLS)[number]

  constructor(broker: Broker, clock: DrivenClock, protocol: (typeof PROTOCOLS)[number]) {
    this.broker = broker
    this.clock = clock
    this.protocol = protocol
  }

  member(config: Config = {}): Consumer {
    const base = { groupId: 'g', groupProtocol: this.protocol, assignors: ['cooperative-sticky'] as const }
    return on.consumer({ ...base, fetchMaxWaitMs: 500, autoCommitIntervalMs: 1_000, ...config })
  }

  /** What the group has stored, by `topic/partition`. */
  get offsets(): Record<string, number> {
    const { offsets } = this.broker.group('g')
    return Object.fromEntries(offsets.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]))
  }

  get members(): number {
    return this.broker.group('g').members.length
  }

  /** Requests that only a change of the membership needs; with KIP-848, the epochs that heartbeats spoke of. */
  rounds(): string[] {
    if (this.protocol === 'classic') {
      return this.broker.requests({ where: ({ api }) => GROUP_APIS.includes(api) }).map(({ api }) => api)
    }
    const beats = this.broker.requests({ api: 'ConsumerGroupHeartbeat' })
    return [...new Set(beats.map(({ body }) => `epoch ${(body as { memberEpoch: number }).memberEpoch}`))]
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ms
    await this.until('time has passed', () => this.clock.monotonicMs() >= untilMs, ms + 1)
  }

  async until(what: string, fact: () => boolean, limitMs = 120_000): Promise<void> {
    const untilMs = this.clock.monotonicMs() + limitMs
    while (!fact()) {
      if (this.clock.monotonicMs() > untilMs) throw new Error(`not within ${limitMs} ms: ${what}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

async function start(protocol: (typeof PROTOCOLS)[number], options: BrokerOptions = {}): Promise<Stage> {
  const clock = drivenClock()
  const config = { 'group.initial.rebalance.delay.ms': 0, ...options.config }
  return new Stage(await on.start({ clock, ...options, config }), clock, protocol)
}

/** What a consumer tells of its partitions, in order: `assigned t/0 t/1`. */
function storyOf(consumer: Consumer): string[] {
  const story: string[] = []
  for (const event of ['assigned', 'revoked', 'lost'] as const) {
    consumer.on(event, ({ partitions }) => {
      story.push(
        `${event} ${partitions
          .map((tp) => `${tp.topic}/${tp.partition}`)
          .sort()
          .join(' ')}`.trim(),
      )
    })
  }
  return story
}

const T0 = { topic: 't', partition: 0 }

it('CO-1: without a groupId subscribing is refused, constructing is not', async () => {
  const { broker } = await start('classic')
  broker.createTopic('t')
  const consumer = on.consumer()
  await expect(consumer.subscribe('t', () => {})).rejects.toMatchObject({ code: 'MISSING_CONFIG' })
  await consumer.assign(['t'], () => {})
  expect(consumer.assignment).toEqual([T0])
})

describe.each(PROTOCOLS)('a consumer in a group, %s', (protocol) => {
  it('CO-1: each call adds topics with their own callback; false ends all, and run() and closed resolve', async () => {
    const stage = await start(protocol)
    for (const topic of ['t', 'u']) stage.broker.createTopic(topic)
    const [ofT, ofU] = [new Seen(), new Seen()]
    const consumer = stage.member()
    await consumer.subscribe('t', ofT.take)
    await consumer.subscribe(['u'], (record) => {
      ofU.take(record)
      return record.offset < 2
    })
    await on.produceNumbers('t', 0, 0, 3)
    await ofT.count(3)
    await on.produceNumbers('u', 0, 0, 5)
    await Promise.all([consumer.run(), consumer.closed])
    expect([ofT.records, ofU.records]).toEqual([expected('t', 0, 0, 3), expected('u', 0, 0, 3)])
    expect([stage.offsets, stage.members]).toEqual([{ 't/0': 3, 'u/0': 3 }, 0])
  })

  it('CO-9: commits what is processed on the interval, what ended since on revoke, and the rest on close', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 10)
    const hanging = deferred<void>()
    const seen = new Seen()
    const consumer = stage.member()
    await consumer.subscribe('t', (record) => {
      seen.take(record)
      return record.offset === 5 ? hanging.promise : undefined
    })
    await seen.count(6)
    await stage.pass(3_000)
    expect(stage.offsets, 'the sixth has not returned').toEqual({ 't/0': 5 })
    hanging.resolve()
    await seen.count(10)
    await consumer.close()
    expect(stage.offsets).toEqual({ 't/0': 10 })
    const next = stage.member()
    const rest = new Seen()
    await next.subscribe('t', rest.take)
    await on.produceNumbers('t', 0, 10, 2)
    await rest.count(2)
    expect(rest.records).toEqual(expected('t', 0, 10, 2))
  })

  it('CO-10, CO-9: a member that comes takes over where the other stopped; both are told; nothing twice', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t', { partitions: 2 })
    const seen = [new Seen(), new Seen()] as const
    const [a, b] = [stage.member({ autoCommitIntervalMs: 3_600_000 }), stage.member()]
    const [ofA, ofB] = [storyOf(a), storyOf(b)]
    await a.subscribe('t', seen[0].take)
    for (const partition of [0, 1]) await on.produceNumbers('t', partition, 0, 10)
    await seen[0].count(20)
    await b.subscribe('t', seen[1].take)
    await stage.until('one each', () => a.assignment.length === 1 && b.assignment.length === 1)
    for (const partition of [0, 1]) await on.produceNumbers('t', partition, 10, 10)
    await seen[0].count(30)
    await seen[1].count(10)
    const [moved] = b.assignment
    expect(ofA).toEqual(['assigned t/0 t/1', `revoked t/${moved?.partition}`])
    expect(ofB.filter((line) => line !== 'assigned')).toEqual([`assigned t/${moved?.partition}`])
    expect(seen[1].records, 'only what came after the move').toEqual(expected('t', moved?.partition ?? -1, 10, 10))
    await a.close()
    await stage.until('the rest comes to b', () => b.assignment.length === 2)
    for (const partition of [0, 1]) await on.produceNumbers('t', partition, 20, 5)
    await seen[1].count(20)
    const all = [...seen[0].records, ...seen[1].records]
    expect([...all].sort()).toEqual([...expected('t', 0, 0, 25), ...expected('t', 1, 0, 25)].sort())
  })

  it('CO-10, C-26: a callback beyond maxPollIntervalMs: told, lost, taken over, no late commit; it joins again after it', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 3)
    const hanging = deferred<void>()
    const [slow, quick] = [stage.member({ maxPollIntervalMs: 60_000 }), stage.member()]
    const [ofSlow, ofQuick] = [new Seen(), new Seen()]
    const errors: MQError[] = []
    const story = storyOf(slow)
    slow.on('error', (error) => errors.push(error))
    await slow.subscribe('t', (record) => {
      ofSlow.take(record)
      return record.offset === 1 ? hanging.promise : undefined
    })
    await ofSlow.count(2)
    const startMs = stage.clock.monotonicMs()
    await quick.subscribe('t', ofQuick.take)
    await ofQuick.count(2)
    expect(stage.clock.monotonicMs() - startMs).toBeGreaterThan(55_000)
    expect(errors.map(({ code, context }) => [code, context.reason])).toEqual([
      ['REBALANCE_IN_PROGRESS', 'POLL_INTERVAL'],
    ])
    expect(story).toContain('lost t/0')
    expect(ofQuick.records, 'from the last commit on').toEqual(expected('t', 0, 1, 2))
    await stage.pass(3_000)
    const { offsets } = stage
    hanging.resolve()
    await stage.until('two members', () => stage.members === 2)
    await stage.pass(3_000)
    expect([stage.offsets, offsets]).toEqual([{ 't/0': 3 }, { 't/0': 3 }])
  })

  it('K-15, C-16: a callback of ten minutes and a paused partition: heartbeats go on, the member stays, and it counts', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t', { partitions: 2 })
    const seen = new Seen()
    const hanging = deferred<void>()
    const consumer = stage.member({ maxPollIntervalMs: 3_600_000, fetchMaxWaitMs: 5_000 })
    const story = storyOf(consumer)
    await consumer.subscribe('t', (record) => {
      seen.take(record)
      return record.partition === 0 ? hanging.promise : undefined
    })
    await on.produceNumbers('t', 0, 0, 1)
    await seen.count(1)
    consumer.pause([{ topic: 't', partition: 1 }])
    stage.broker.forgetRequests()
    const before = consumer.getMetrics()
    stage.clock.stepMs = 20
    await stage.pass(600_000)
    const after = consumer.getMetrics()
    expect(story).toEqual(['assigned t/0 t/1'])
    expect([after.memberId, after.generation, after.groupState]).toEqual([before.memberId, before.generation, 'stable'])
    const beats = stage.broker.count({ api: protocol === 'classic' ? 'Heartbeat' : 'ConsumerGroupHeartbeat' })
    expect(beats).toBeGreaterThan(100)
    expect(beats).toBeLessThanOrEqual(201)
    expect(stage.offsets['t/0'] ?? 0).toBe(0)
    hanging.resolve()
    await stage.until('it counts', () => stage.offsets['t/0'] === 1)
  })

  it('C-20, K-16: leaders move under a group: no round, nobody is told, no gap and no repetition', async () => {
    const stage = await start(protocol, { nodes: 3 })
    stage.broker.createTopic('t', { partitions: 2, replicationFactor: 3 })
    const seen = new Seen()
    const consumer = stage.member()
    const story = storyOf(consumer)
    await consumer.subscribe('t', seen.take)
    await on.produceNumbers('t', 0, 0, 10)
    await seen.count(10)
    stage.broker.forgetRequests()
    const { generation } = consumer.getMetrics()
    for (let round = 1; round <= 6; round++) {
      stage.broker.moveLeader(T0, 1 + (stage.broker.log('t', 0).leader % 3))
      await on.produceNumbers('t', 0, round * 10, 10)
      await seen.count((round + 1) * 10)
      await stage.pass(4_000)
    }
    expect(seen.records).toEqual(expected('t', 0, 0, 70))
    expect(stage.rounds()).toEqual(protocol === 'classic' ? [] : [`epoch ${generation}`])
    expect([story, consumer.getMetrics().generation]).toEqual([['assigned t/0 t/1'], generation])
    expect(
      stage.broker.count({ api: protocol === 'classic' ? 'Heartbeat' : 'ConsumerGroupHeartbeat' }),
    ).toBeGreaterThan(3)
  })

  it('CO-5, C-30, K-24: a topic that comes later and matches is read from its first record; one that goes leaves', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('orders.eu')
    stage.broker.createTopic('other')
    await on.produceNumbers('orders.eu', 0, 0, 3) // Before the subscription, so not of interest.
    const seen = new Seen()
    const consumer = stage.member({ metadataMaxAgeMs: 10_000, autoOffsetReset: 'latest' })
    await consumer.subscribePattern(/^orders\./, seen.take)
    expect(consumer.assignment.map(({ topic }) => topic)).toEqual(['orders.eu'])
    stage.broker.createTopic('orders.us', { partitions: 2 })
    const startMs = stage.clock.monotonicMs()
    for (const partition of [0, 1]) await on.produceNumbers('orders.us', partition, 0, 5)
    await on.produceNumbers('other', 0, 0, 5)
    await on.produceNumbers('orders.eu', 0, 3, 1)
    await seen.count(11)
    expect(stage.clock.monotonicMs() - startMs, 'metadataMaxAgeMs, and a round of the group').toBeLessThan(20_000)
    for (const partition of [0, 1])
      expect(seen.of('orders.us', partition)).toEqual(expected('orders.us', partition, 0, 5))
    expect(seen.of('other', 0)).toEqual([])
    stage.broker.deleteTopic('orders.us')
    await stage.until('it leaves', () => consumer.assignment.every(({ topic }) => topic === 'orders.eu'))
    await on.produceNumbers('orders.eu', 0, 4, 1)
    await seen.count(12)
    expect(seen.of('orders.eu', 0)).toEqual(expected('orders.eu', 0, 3, 2))
  })

  it('CO-6: unsubscribing one topic commits and gives it back, the other goes on; the last one leaves the group', async () => {
    const stage = await start(protocol)
    for (const topic of ['t', 'u']) stage.broker.createTopic(topic)
    const seen = new Seen()
    const consumer = stage.member({ autoCommitIntervalMs: 3_600_000 })
    await consumer.subscribe(['t', 'u'], seen.take)
    for (const topic of ['t', 'u']) await on.produceNumbers(topic, 0, 0, 5)
    await seen.count(10)
    await consumer.unsubscribe('t')
    expect(stage.offsets).toEqual({ 't/0': 5 })
    for (const topic of ['t', 'u']) await on.produceNumbers(topic, 0, 5, 5)
    await seen.count(15)
    await stage.pass(2_000)
    expect([seen.of('t', 0), seen.of('u', 0)]).toEqual([expected('t', 0, 0, 5), expected('u', 0, 0, 10)])
    await consumer.unsubscribeAll()
    expect([stage.offsets, stage.members]).toEqual([{ 't/0': 5, 'u/0': 10 }, 0])
    await consumer.subscribe('t', seen.take)
    await seen.count(20)
    expect(seen.of('t', 0), 'it goes on where it was committed').toEqual(expected('t', 0, 0, 10))
  })

  it('C-31: commits of the interval and of the caller, late answers and lost ones: the stored offset never falls', async () => {
    const stage = await start(protocol, { nodes: 2 })
    stage.broker.createTopic('t')
    for (const [nth, what] of [fault.delay(700), fault.drop('after'), fault.error(14), fault.drop('before')].entries())
      stage.broker.on({ api: 'OffsetCommit', nth: 2 + nth * 3 }, what)
    const consumer = stage.member({ autoCommitIntervalMs: 50 })
    const commits: Promise<void>[] = []
    const seen = new Seen()
    await consumer.subscribe('t', async (record) => {
      if (record.offset % 3 === 0) commits.push(consumer.commitOffset(record))
      await stage.pass(20)
      seen.take(record)
    })
    let stored = -1
    let isOver = false
    const watching = (async () => {
      while (!isOver) {
        const now = stage.offsets['t/0'] ?? -1
        expect(now).toBeGreaterThanOrEqual(stored)
        stored = now
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    await on.produceNumbers('t', 0, 0, 100)
    await seen.count(100)
    await Promise.all(commits)
    await stage.until('the last commit', () => stage.offsets['t/0'] === 100)
    isOver = true
    await watching
    expect(commits).toHaveLength(34)
  })

  it('C-33, CO-9: offset, leader epoch and metadata of a commit come back equal; what is not ours is refused', async () => {
    const stage = await start(protocol, { nodes: 2 })
    stage.broker.createTopic('t', { partitions: 2, replicationFactor: 2 })
    stage.broker.moveLeader(T0, stage.broker.log('t', 0).leader === 1 ? 2 : 1)
    await on.produceNumbers('t', 0, 0, 10)
    const seen = new Seen()
    const consumer = stage.member({ autoCommit: false })
    await consumer.subscribe('t', async (record) => {
      if (record.offset === 4) await consumer.commitOffset(record)
      seen.take(record)
    })
    await seen.count(10)
    const { epoch } = stage.broker.log('t', 0)
    expect(epoch).toBe(1)
    expect(await consumer.committed([T0])).toEqual([{ offset: 5, leaderEpoch: 1, metadata: '' }])
    await consumer.commitOffset(T0, 7)
    expect(await consumer.getCommittedOffset(T0)).toBe(7)
    await consumer.commitOffsets([{ ...T0, offset: 8, leaderEpoch: 1, metadata: 'here: é' }])
    expect(await consumer.committed([T0, { topic: 't', partition: 1 }])).toEqual([
      { offset: 8, leaderEpoch: 1, metadata: 'here: é' },
      null,
    ])
    await consumer.commit()
    expect(await consumer.committed([T0])).toEqual([{ offset: 10, leaderEpoch: 1, metadata: '' }])
    await expect(consumer.commitOffset({ topic: 't', partition: 9 }, 1)).rejects.toMatchObject({
      code: 'OFFSET_COMMIT_FAILED',
    })
  })

  it('C-28: a callback slower than the rebalance time: its partition goes at the deadline, its late end commits nothing', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t', { partitions: 2 })
    const hanging = deferred<void>()
    const [ofSlow, ofNext] = [new Seen(), new Seen()]
    const slow = stage.member({ rebalanceTimeoutMs: 10_000, concurrency: 2 })
    const story = storyOf(slow)
    await slow.subscribe('t', (record) => {
      ofSlow.take(record)
      return record.offset === 3 ? hanging.promise : undefined
    })
    for (const partition of [0, 1]) await on.produceNumbers('t', partition, 0, 10)
    await ofSlow.count(8)
    await stage.until('three of each are stored', () => Object.values(stage.offsets).join() === '3,3')
    const next = stage.member()
    const startMs = stage.clock.monotonicMs()
    await next.subscribe('t', ofNext.take)
    await ofNext.count(7)
    expect(stage.clock.monotonicMs() - startMs, 'the rebalance time, and a round').toBeLessThan(20_000)
    const moved = next.assignment[0]?.partition ?? -1
    expect(story).toEqual(['assigned t/0 t/1', `revoked t/${moved}`])
    expect(ofNext.records, 'from the one that hangs on').toEqual(expected('t', moved, 3, 7))
    await stage.until('stored', () => stage.offsets[`t/${moved}`] === 10)
    hanging.resolve()
    await stage.until('what it kept goes on', () => stage.offsets[`t/${1 - moved}`] === 10)
    await stage.pass(5_000)
    expect(stage.offsets).toEqual({ 't/0': 10, 't/1': 10 })
    expect(ofSlow.of('t', moved), 'nothing more of it is delivered here').toEqual(expected('t', moved, 0, 4))
    expect(ofSlow.of('t', 1 - moved)).toEqual(expected('t', 1 - moved, 0, 10))
  })

  it('C-29: a member that the group puts out: lost, no commit for what it had, back at the last commit', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    const seen = new Seen()
    const consumer = stage.member({ autoCommitIntervalMs: 3_600_000 })
    const story = storyOf(consumer)
    await consumer.subscribe('t', seen.take)
    await on.produceNumbers('t', 0, 0, 5)
    await seen.count(5)
    await consumer.commit()
    await on.produceNumbers('t', 0, 5, 5)
    await seen.count(10)
    stage.broker.fence('g', consumer.getMetrics().memberId)
    await seen.count(15)
    expect(story).toEqual(['assigned t/0', 'lost t/0', 'assigned t/0'])
    expect(seen.records).toEqual([...expected('t', 0, 0, 10), ...expected('t', 0, 5, 5)])
    expect(stage.offsets).toEqual({ 't/0': 5 })
  })

  it('C-30: partitions that a topic gains are shared and read from their first record', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    const seen = [new Seen(), new Seen()] as const
    const members = seen.map(() => stage.member({ autoOffsetReset: 'latest', metadataMaxAgeMs: 5_000 }))
    for (const [index, member] of members.entries()) await member.subscribe('t', (seen[index] as Seen).take)
    stage.broker.addPartitions('t', 4)
    for (const partition of [1, 2, 3]) await on.produceNumbers('t', partition, 0, 5)
    await stage.until('read', () => seen[0].records.length + seen[1].records.length >= 15)
    await stage.until('two each', () => members.every(({ assignment }) => assignment.length === 2))
    const all = [...seen[0].records, ...seen[1].records]
    expect([...all].sort()).toEqual([1, 2, 3].flatMap((partition) => expected('t', partition, 0, 5)).sort())
  })

  it('C-34: the coordinator moves and dies: commits and heartbeats follow, nothing is lost or read twice', async () => {
    const stage = await start(protocol, { nodes: 3 })
    stage.broker.createTopic('t', { assignments: [[1, 2, 3]] })
    const seen = new Seen()
    const consumer = stage.member()
    const story = storyOf(consumer)
    await consumer.subscribe('t', seen.take)
    let count = 0
    const more = async () => {
      await on.produceNumbers('t', 0, count, 10)
      count += 10
      await seen.count(count)
      await stage.until(`offset ${count} is stored`, () => stage.offsets['t/0'] === count)
    }
    await more()
    for (let round = 0; round < 3; round++) {
      stage.broker.moveCoordinator('g')
      await more()
      await stage.pass(6_000)
    }
    await stage.broker.kill(stage.broker.group('g').coordinator)
    await more()
    await stage.pass(6_000)
    expect(seen.records).toEqual(expected('t', 0, 0, count))
    expect(story).toEqual(['assigned t/0'])
  })

  it('C-36, CO-17: close commits once, then leaves, then ends its connections', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t', { partitions: 3 })
    const seen = new Seen()
    const consumer = stage.member({ autoCommitIntervalMs: 3_600_000 })
    await consumer.subscribe('t', seen.take)
    for (const partition of [0, 1, 2]) await on.produceNumbers('t', partition, 0, 5)
    await seen.count(15)
    stage.broker.forgetRequests()
    await consumer.close()
    const said = stage.broker
      .requests({ clientId: 'reader' })
      .filter(({ api, body }) => {
        if (api === 'ConsumerGroupHeartbeat') return (body as { memberEpoch: number }).memberEpoch < 0
        return ['OffsetCommit', 'LeaveGroup'].includes(api)
      })
      .map(({ api }) => api)
    expect(said).toEqual(['OffsetCommit', protocol === 'classic' ? 'LeaveGroup' : 'ConsumerGroupHeartbeat'])
    expect([stage.offsets, stage.members]).toEqual([{ 't/0': 5, 't/1': 5, 't/2': 5 }, 0])
  })

  it.each([
    ['commits', 'OffsetCommit'],
    ['leaving', protocol === 'classic' ? 'LeaveGroup' : 'ConsumerGroupHeartbeat'],
    ['all', null],
  ])('C-36, K-23: close is bounded although nobody answers: %s', async (_what, api) => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    const seen = new Seen()
    const consumer = stage.member({ autoCommitIntervalMs: 3_600_000 })
    await consumer.subscribe('t', seen.take)
    await on.produceNumbers('t', 0, 0, 5)
    await seen.count(5)
    if (api === null) stage.broker.pause(1)
    else stage.broker.on({ api }, fault.blackhole())
    const startMs = stage.clock.monotonicMs()
    await consumer.close({ timeoutMs: 2_000 })
    expect(stage.clock.monotonicMs() - startMs).toBeLessThan(8_000)
    if (api === null) stage.broker.resume(1)
  })

  it('K-20: a TypeError in a callback is an error like any other: told, nothing committed past it, the group goes on', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 10)
    const broken = stage.member({ onError: 'stop' })
    const errors: MQError[] = []
    broken.on('error', (error) => errors.push(error))
    const ended = broken.run().catch((error: unknown) => error)
    await broken.subscribe('t', (record) => {
      if (record.offset === 4) (undefined as unknown as { call(): void }).call()
    })
    const failure = await ended
    expect(failure).toBeInstanceOf(MQError)
    expect((failure as MQError).cause).toBeInstanceOf(TypeError)
    expect(errors.length).toBeGreaterThan(0)
    expect([stage.offsets, stage.members]).toEqual([{ 't/0': 4 }, 0])
    const seen = new Seen()
    await stage.member().subscribe('t', seen.take)
    await seen.count(6)
    expect(seen.records).toEqual(expected('t', 0, 4, 6))
  })

  it('K-22: commits that fail for a while: told, records go on, and what was processed is stored in the end', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    const denied = stage.broker.on({ api: 'OffsetCommit' }, fault.error(29))
    const seen = new Seen()
    const errors: MQError[] = []
    const consumer = stage.member()
    consumer.on('error', (error) => errors.push(error))
    await consumer.subscribe('t', seen.take)
    for (let from = 0; from < 50; from += 10) {
      await on.produceNumbers('t', 0, from, 10)
      await seen.count(from + 10)
      await stage.pass(1_500)
    }
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['OFFSET_COMMIT_FAILED']))
    expect(consumer.getMetrics().commitFailures).toBeGreaterThanOrEqual(4)
    denied.remove()
    await stage.until('stored', () => stage.offsets['t/0'] === 50)
    expect(seen.records).toEqual(expected('t', 0, 0, 50))
  })

  it('K-14: heartbeats and the other partition go on while one callback hangs, in order, up to the last record', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t', { partitions: 2 })
    const hanging = deferred<void>()
    const seen = new Seen()
    const consumer = stage.member({ concurrency: 2 })
    await consumer.subscribe('t', (record) => {
      seen.take(record)
      return record.partition === 0 ? hanging.promise : undefined
    })
    for (const partition of [0, 1]) await on.produceNumbers('t', partition, 0, 100)
    await seen.until(() => seen.of('t', 1).length === 100)
    expect([seen.of('t', 0), seen.of('t', 1)]).toEqual([expected('t', 0, 0, 1), expected('t', 1, 0, 100)])
    await stage.until('the other one is committed', () => stage.offsets['t/1'] === 100)
    expect(stage.offsets['t/0'] ?? 0).toBe(0)
    hanging.resolve()
    await seen.count(200)
  })

  it('K-23: an idle member is polls and heartbeats, nothing else: no commit without news', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t')
    const seen = new Seen()
    const consumer = stage.member({ fetchMaxWaitMs: 5_000 })
    await consumer.subscribe('t', seen.take)
    await on.produceNumbers('t', 0, 0, 5)
    await seen.count(5)
    await stage.until('stored', () => stage.offsets['t/0'] === 5)
    stage.broker.forgetRequests()
    stage.clock.stepMs = 20
    await stage.pass(600_000)
    const counts = new Map<string, number>()
    for (const { api } of stage.broker.requests({ clientId: 'reader' })) counts.set(api, (counts.get(api) ?? 0) + 1)
    const heartbeat = protocol === 'classic' ? 'Heartbeat' : 'ConsumerGroupHeartbeat'
    expect(counts.get('Fetch') ?? 0).toBeLessThanOrEqual(121)
    expect(counts.get(heartbeat) ?? 0).toBeLessThanOrEqual(201)
    expect([...counts.keys()].filter((api) => !['Fetch', heartbeat, 'Metadata', 'ApiVersions'].includes(api))).toEqual(
      [],
    )
    expect(counts.get('Metadata') ?? 0).toBeLessThanOrEqual(4)
  })

  it('C-13: what was fetched for a partition that is revoked meanwhile is delivered by its next owner only', async () => {
    const stage = await start(protocol)
    stage.broker.createTopic('t', { partitions: 2 })
    for (const partition of [0, 1])
      for (let from = 0; from < 200; from += 50) await on.produceNumbers('t', partition, from, 50)
    const [first, second] = [new Seen(), new Seen()]
    const take = (seen: Seen) => async (record: Parameters<Seen['take']>[0]) => {
      await stage.pass(40)
      seen.take(record)
    }
    const [a, b] = [stage.member({ maxPollRecords: 5 }), stage.member({ maxPollRecords: 5 })]
    await a.subscribe('t', take(first))
    await first.count(30)
    await b.subscribe('t', take(second))
    await stage.until('all are processed', () => first.records.length + second.records.length >= 400)
    await stage.pass(1_000)
    const all = [...first.records, ...second.records]
    expect(second.records.length).toBeGreaterThan(0)
    expect([...all].sort()).toEqual([...expected('t', 0, 0, 200), ...expected('t', 1, 0, 200)].sort())
    for (const seen of [first, second]) {
      for (const partition of [0, 1]) {
        const offsets = seen.of('t', partition).map((text) => Number(text.split('=')[1]))
        expect(offsets).toEqual([...offsets].sort((x, y) => x - y))
      }
    }
  })
})

it('C-33: commits carry the leader epoch of the last record, on the wire', async () => {
  const stage = await start('classic', { nodes: 2 })
  stage.broker.createTopic('t', { replicationFactor: 2 })
  stage.broker.moveLeader(T0, stage.broker.log('t', 0).leader === 1 ? 2 : 1)
  await on.produceNumbers('t', 0, 0, 3)
  const seen = new Seen()
  await stage.member().subscribe('t', seen.take)
  await seen.count(3)
  await stage.broker.saw({ api: 'OffsetCommit' })
  const [body] = stage.broker
    .requests({ api: 'OffsetCommit' })
    .map((one) => one.body as DecodedRequestOf<typeof OffsetCommit>)
  expect(body?.topics?.[0]?.partitions?.[0]).toMatchObject({ committedOffset: 3, committedLeaderEpoch: 1 })
})
