/** The session of a group consumer against a scripted member, a scripted store of offsets and a scripted cluster. */
import { describe, expect, it } from 'vitest'
import { resolveConsumerConfig } from '../../../lib/config/index.js'
import { ConsumerCounters } from '../../../lib/consumer/counters.js'
import type { Delivery, TopicPartition } from '../../../lib/consumer/cursor.js'
import { makeSinks } from '../../../lib/consumer/delivery/sinks.js'
import type { ConsumerEvents } from '../../../lib/consumer/events.js'
import type { CommittedOffset, OffsetToCommit } from '../../../lib/consumer/group/offsets/offsets.js'
import type { GroupHost, MemberIdentity, MemberState, Membership } from '../../../lib/consumer/group/ports.js'
import { GroupSession } from '../../../lib/consumer/group/session.js'
import { Reading } from '../../../lib/consumer/reading.js'
import { TopicLookup } from '../../../lib/consumer/topic-lookup.js'
import { MQError } from '../../../lib/errors/index.js'
import { type Api, type DecodedResponseOf, ListOffsets, Metadata, type RequestOf } from '../../../lib/protocol/index.js'
import { deferred, Emitter, seededRandom, silentLogger } from '../../../lib/util/index.js'
import { numbered } from '../batches.js'
import { ScriptedCluster } from '../scripted-cluster.js'

const tp = (partition: number): TopicPartition => ({ topic: 't', partition })

class FakeMember implements Membership {
  readonly protocol = 'classic'
  readonly trouble = null
  readonly calls: string[] = []
  readonly host: GroupHost
  state: MemberState = 'stable'
  identity: MemberIdentity | null = { memberId: 'm', generation: 1, instanceId: null }

  constructor(host: GroupHost) {
    this.host = host
  }

  start(): void {
    this.calls.push(`start ${this.host.topics().join()}`)
  }

  topicsChanged(): void {
    this.calls.push(`topics ${this.host.topics().join()}`)
  }

  checkSession(): void {}
  commitRefused(): void {}
  async refreshIdentity(): Promise<void> {}
  abandon(): void {}

  async close(): Promise<void> {
    this.calls.push('close')
  }
}

class FakeStore {
  readonly commits: OffsetToCommit[][] = []
  readonly stored = new Map<number, CommittedOffset | MQError>()
  failure: MQError | null = null
  asked = 0
  onCommit: () => void = () => {}

  async commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    this.onCommit()
    if (this.failure !== null) throw this.failure
    this.commits.push([...offsets])
  }

  async committed(partitions: readonly TopicPartition[]): Promise<(CommittedOffset | MQError | null)[]> {
    this.asked++
    if (this.failure !== null) throw this.failure
    return partitions.map(({ partition }) => this.stored.get(partition) ?? null)
  }

  forget(): void {}
  close(): void {}
}

/** Answers Metadata for all topics too. */
class ListingCluster extends ScriptedCluster {
  names: string[] = []
  /** What ListOffsets was asked for. */
  readonly timestamps: number[] = []

  override async request<A extends Api>(api: A, body: RequestOf<A>): Promise<DecodedResponseOf<A>> {
    if ((api as Api) === ListOffsets) {
      const { topics: asked } = body as RequestOf<typeof ListOffsets>
      this.timestamps.push(...asked.flatMap(({ partitions }) => partitions.map(({ timestamp }) => Number(timestamp))))
    }
    if ((api as Api) !== Metadata) return super.request(api, body)
    const topics = this.names.map((name) => ({ name, errorCode: 0, isInternal: name.startsWith('__'), partitions: [] }))
    return { topics } as unknown as DecodedResponseOf<A>
  }
}

class Stage {
  readonly cluster: ListingCluster
  readonly store = new FakeStore()
  readonly events = new Emitter<ConsumerEvents>()
  readonly counters = new ConsumerCounters()
  readonly log: string[] = []
  readonly session: GroupSession
  readonly reading: Reading
  readonly delivery: Delivery
  ended: MQError | null = null
  member!: FakeMember
  take: (offset: number) => unknown = () => undefined

  constructor(config: NonNullable<Parameters<typeof resolveConsumerConfig>[0]> = {}, leaders: number[] = [1, 1]) {
    this.cluster = new ListingCluster(leaders)
    const { cluster, events, counters } = this
    const { clock } = cluster
    const resolved = resolveConsumerConfig({
      groupId: 'g',
      logger: silentLogger,
      autoOffsetReset: 'earliest',
      ...config,
    })
    const parts = { config: resolved, cluster, clock, random: seededRandom(1), events, counters }
    this.reading = new Reading({ ...parts, memberState: () => this.session.state })
    const sinks = makeSinks(parts, {
      unreadable: (cursor, error) => this.reading.fetcher.unreadable(cursor, error),
      stopped: () => {},
    })
    this.reading.sinks.push(...sinks.all)
    this.delivery = sinks.perRecord(((record: { offset: number }) => this.take(record.offset)) as never)
    this.session = new GroupSession({
      ...parts,
      reading: this.reading,
      lookup: new TopicLookup(cluster, clock, 1),
      committer: this.store,
      makeMember: async (host) => {
        this.member = new FakeMember(host)
        return this.member
      },
      failed: (error) => {
        this.ended = error
      },
    })
    for (const event of ['assigned', 'revoked', 'lost'] as const)
      events.on(event, ({ partitions }) => void this.log.push(`${event} ${partitions.map((p) => p.partition)}`))
    for (const event of ['error', 'warning'] as const)
      events.on(event, (problem) => void this.log.push(`${event} ${problem.message}`))
    this.store.onCommit = () => void this.log.push('commit')
  }

  /** Subscribed to 't' with those partitions. */
  async joined(partitions = [0, 1]): Promise<void> {
    const subscribed = this.session.subscribe(['t'], this.delivery, {})
    await this.cluster.turn()
    await this.member.host.assign(partitions.map(tp))
    this.member.host.settled()
    await subscribed
    await this.cluster.turn()
  }

  at(partition: number): number {
    return this.reading.fetcher.assigned.get('t', partition)?.position ?? -9
  }

  /** Lets partition `partition` read `count` records from `offset` on. */
  async feed(partition: number, offset: number, count: number): Promise<void> {
    this.cluster.last.answer({ [partition]: { records: numbered(offset, count), highWatermark: offset + count } })
    await this.cluster.turn()
  }

  get until(): number {
    return this.cluster.clock.monotonicMs() + 10_000
  }
}

describe('GroupSession', () => {
  it('CO-1, CO-11: subscribe resolves when partitions and positions are known', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 7, leaderEpoch: 3, metadata: '' })
    stage.cluster.end = 40 // what ListOffsets answers
    let isSubscribed = false
    const subscribed = stage.session.subscribe(['t'], stage.delivery, {}).then(() => {
      isSubscribed = true
    })
    await stage.cluster.turn()
    expect(stage.member.calls).toEqual(['start t'])
    await stage.member.host.assign([tp(0), tp(1)])
    await stage.cluster.turn()
    expect(isSubscribed).toBe(false)
    stage.member.host.settled()
    await subscribed
    expect([stage.at(0), stage.at(1)]).toEqual([7, 40])
    expect(stage.reading.fetcher.assigned.get('t', 0)?.positionEpoch).toBe(3)
  })

  it('CO-11: without an offset and with none, the partition fails and the other goes on', async () => {
    const stage = new Stage({ autoOffsetReset: 'none' })
    stage.store.stored.set(1, { offset: 5, leaderEpoch: -1, metadata: '' })
    await stage.joined()
    expect(stage.log.filter((line) => line.startsWith('error'))).toEqual([expect.stringContaining('t/0')])
    expect(stage.at(1)).toBe(5)
    expect(stage.cluster.last.asked).toEqual(['1@5'])
  })

  it('C-41: an error of one partition in the stored offsets fails that partition only', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, new MQError('AUTHORIZATION_FAILED', 'topic t is denied'))
    stage.store.stored.set(1, { offset: 5, leaderEpoch: -1, metadata: '' })
    await stage.joined()
    expect(stage.log).toContain('error topic t is denied')
    expect(stage.at(1)).toBe(5)
  })

  it('a seek in an assigned listener wins over the committed offset', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 7, leaderEpoch: 3, metadata: '' })
    stage.events.on('assigned', () => stage.reading.seek(tp(0), 2))
    await stage.joined([0])
    expect(stage.at(0)).toBe(2)
  })

  it('offsets that cannot be read are asked for again, and it is told', async () => {
    const stage = new Stage()
    stage.store.failure = new MQError('TIMEOUT', 'nobody answers')
    const subscribed = stage.session.subscribe(['t'], stage.delivery, {})
    await stage.cluster.turn()
    await stage.member.host.assign([tp(0)])
    stage.member.host.settled()
    await stage.cluster.turn()
    expect(stage.log.at(-1)).toContain('warning positions could not be read')
    stage.store.failure = null
    stage.store.stored.set(0, { offset: 3, leaderEpoch: 0, metadata: '' })
    await stage.cluster.advance(10_000)
    await subscribed
    expect(stage.at(0)).toBe(3)
  })

  it('C-30: partitions that come after the subscription are read from their beginning, whatever the reset', async () => {
    const stage = new Stage({ autoOffsetReset: 'latest' })
    await stage.joined([0, 1])
    const asked = stage.cluster.timestamps
    asked.length = 0
    stage.cluster.move([1, 1, 1], 1)
    await stage.member.host.assign([tp(2)])
    await stage.cluster.turn()
    expect(asked).toEqual([-2])
  })

  it('CO-9: a revocation waits for the callback, commits, tells, and drops, in that order', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    const ended = deferred<void>()
    stage.take = (offset) => (offset === 1 ? ended.promise : undefined)
    await stage.feed(0, 0, 3)
    stage.log.length = 0
    let isRevoked = false
    const revoked = stage.member.host.revoke([tp(0)], stage.until).then(() => {
      isRevoked = true
    })
    await stage.cluster.turn()
    expect(isRevoked).toBe(false)
    ended.resolve()
    await revoked
    expect(stage.log).toEqual(['commit', 'revoked 0'])
    expect(stage.store.commits).toEqual([[{ topic: 't', partition: 0, offset: 2, leaderEpoch: 0 }]])
    expect(stage.reading.cursors).toEqual([])
  })

  it('C-28: a callback that does not end holds a revocation no longer than the deadline; it does not count', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    stage.take = (offset) => (offset === 2 ? new Promise(() => {}) : undefined)
    await stage.feed(0, 0, 5)
    const revoked = stage.member.host.revoke([tp(0)], stage.until)
    await stage.cluster.turn()
    await stage.cluster.advance(10_000)
    await revoked
    expect(stage.store.commits.at(-1)).toEqual([{ topic: 't', partition: 0, offset: 2, leaderEpoch: 0 }])
  })

  it('C-28: a revocation ends when its partitions are lost, whatever their callbacks do', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    stage.take = () => new Promise(() => {})
    await stage.feed(0, 0, 5)
    stage.log.length = 0
    const revoked = stage.member.host.revoke([tp(0)], stage.until)
    await stage.cluster.turn()
    stage.member.host.lose([tp(0)], new MQError('UNKNOWN_MEMBER_ID', 'gone'))
    await revoked
    expect(stage.log).toEqual(['lost 0'])
  })

  it('CO-9: behind its last commit a partition that goes is not committed by the interval, although a listener seeks', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    const listened = deferred<void>()
    stage.events.on('revoked', () => {
      stage.reading.seek(tp(0), 1)
      return listened.promise as never
    })
    const revoked = stage.member.host.revoke([tp(0)], stage.until)
    await stage.cluster.turn()
    await stage.cluster.advance(5_000)
    listened.resolve()
    await revoked
    expect(stage.store.commits.map(([one]) => one?.offset)).toEqual([3])
  })

  it('C-28: a revoked listener that does not end is left behind at the deadline, and it is told', async () => {
    const stage = new Stage()
    await stage.joined([0])
    stage.events.on('revoked', () => new Promise<void>(() => {}) as never)
    const revoked = stage.member.host.revoke([tp(0)], stage.until)
    await stage.cluster.turn()
    await stage.cluster.advance(10_000)
    await revoked
    expect(stage.log.at(-1)).toContain("a 'revoked' listener did not end")
    expect(stage.reading.cursors).toEqual([])
  })

  it('CO-10: lost partitions are dropped at once, without a commit', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    stage.log.length = 0
    stage.member.host.lose([tp(0)], new MQError('UNKNOWN_MEMBER_ID', 'gone'))
    expect(stage.log).toEqual(['lost 0'])
    expect(stage.reading.cursors).toEqual([])
  })

  it('CO-9: offsets are committed on the interval, only where they moved', async () => {
    const stage = new Stage()
    for (const partition of [0, 1]) stage.store.stored.set(partition, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined()
    await stage.feed(0, 0, 3)
    await stage.cluster.advance(5_000)
    await stage.cluster.advance(5_000)
    expect(stage.store.commits).toEqual([[{ topic: 't', partition: 0, offset: 3, leaderEpoch: 0 }]])
    expect(stage.counters.commits).toBe(1)
  })

  it('CO-9: what the caller has committed ahead of the position is not taken back; after a seek it may be', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    await stage.session.commit([{ topic: 't', partition: 0, offset: 9 }], stage.until)
    await stage.cluster.advance(5_000)
    expect(stage.store.commits.length).toBe(1)
    stage.reading.seek(tp(0), 1)
    await stage.cluster.advance(5_000)
    expect(stage.store.commits.map(([one]) => one?.offset)).toEqual([9, 1])
  })

  it('K-22: an auto-commit that fails is an error event, and the next one tries again', async () => {
    const stage = new Stage()
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    stage.store.failure = new MQError('OFFSET_COMMIT_FAILED', 'no', {})
    await stage.cluster.advance(5_000)
    expect(stage.log.at(-1)).toBe('error no')
    stage.store.failure = null
    await stage.cluster.advance(5_000)
    expect(stage.store.commits.length).toBe(1)
    expect([stage.counters.commits, stage.counters.commitFailures]).toEqual([1, 1])
  })

  it('autoCommit false: nothing is committed by itself', async () => {
    const stage = new Stage({ autoCommit: false })
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    await stage.cluster.advance(20_000)
    await stage.member.host.revoke([tp(0)], stage.until)
    expect(stage.store.commits).toEqual([])
  })

  it('CO-6: unsubscribing the last topic commits, drops and leaves', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    await stage.session.unsubscribe(['t'])
    expect(stage.store.commits.length).toBe(1)
    expect(stage.member.calls).toEqual(['start t', 'close'])
    expect(stage.reading.cursors).toEqual([])
    expect(stage.session.isSubscribed).toBe(false)
  })

  it('a subscribe that gets no assignment in time rejects, and has subscribed nothing', async () => {
    const stage = new Stage()
    const subscribed = stage.session.subscribe(['t'], stage.delivery, { timeoutMs: 500 })
    const failed = subscribed.catch((error: MQError) => error.code)
    await stage.cluster.turn()
    await stage.cluster.advance(500)
    expect(await failed).toBe('TIMEOUT')
    await stage.cluster.turn()
    expect(stage.member.calls).toEqual(['start t', 'close'])
    expect(stage.session.isSubscribed).toBe(false)
  })

  it('CO-1: the same topic twice is refused', async () => {
    const stage = new Stage()
    await stage.joined([0])
    await expect(stage.session.subscribe(['t'], stage.delivery, {})).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
  })

  it('C-23: a group that refuses for good rejects subscribe, tells it, and ends delivery', async () => {
    const stage = new Stage()
    const subscribed = stage.session.subscribe(['t'], stage.delivery, {}).catch((error: MQError) => error.code)
    await stage.cluster.turn()
    stage.member.host.failed(new MQError('INCONSISTENT_GROUP_PROTOCOL', 'others speak another protocol'))
    expect(await subscribed).toBe('INCONSISTENT_GROUP_PROTOCOL')
    expect(stage.log).toContain('error others speak another protocol')
    expect(stage.ended?.code).toBe('INCONSISTENT_GROUP_PROTOCOL')
  })

  it('CO-5, K-24: topics that match a pattern join when they appear, and leave when they are gone', async () => {
    const stage = new Stage({ metadataMaxAgeMs: 1_000 })
    stage.cluster.names = ['orders.eu', '__consumer_offsets', 'other']
    const subscribed = stage.session.subscribe([/^orders\./, /__c/], stage.delivery, {})
    await stage.cluster.turn()
    expect(stage.member.calls).toEqual(['start orders.eu'])
    stage.member.host.settled()
    await subscribed
    stage.cluster.names = ['orders.eu', 'orders.us']
    await stage.cluster.advance(1_000)
    stage.cluster.names = ['orders.us']
    await stage.cluster.advance(1_000)
    expect(stage.member.calls).toEqual(['start orders.eu', 'topics orders.eu,orders.us', 'topics orders.us'])
    await stage.session.close(stage.until)
    expect(stage.cluster.clock.pendingTimers).toBe(0)
  })

  it('CO-17: close commits once, leaves, and no timer remains', async () => {
    const stage = new Stage()
    stage.store.stored.set(0, { offset: 0, leaderEpoch: 0, metadata: '' })
    await stage.joined([0])
    await stage.feed(0, 0, 3)
    await stage.session.close(stage.until)
    const closing = stage.reading.close()
    await stage.cluster.advance(1_000) // the fetch session's end is not answered
    await closing
    expect(stage.store.commits.length).toBe(1)
    expect(stage.member.calls).toEqual(['start t', 'close'])
    expect(stage.cluster.clock.pendingTimers).toBe(0)
  })
})
