/**
 * Conversations with a coordinator of KIP-848 groups, written down line by line: what the in-process broker says is compared
 * with what a real Kafka said (F-1, test/fixtures/groups-848.json).
 * Invariant: the lines hold names only, no ids and no texts of errors, and members are listed by name.
 */
import {
  CreatePartitions,
  CreateTopics,
  DeleteGroups,
  DeleteTopics,
  DescribeGroups,
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  OffsetDelete,
  type RequestOf,
  SyncGroup,
  ZERO_UUID,
} from '../../lib/protocol/index.js'
import { type BeatAnswer, ConsumerGroupClient, type Parts } from './consumer-group-client.js'
import { RANGE } from './group-client.js'
import type { RawClient } from './raw-client.js'

export interface Stage {
  readonly raw: RawClient
  /** Lets a little time pass, so that the broker hears of topics and patterns. */
  readonly pause: () => Promise<void>
}

const PATIENCE = 100

/** One scenario: its topics, its members, its lines. Groups and topics are called `prefix-name`. */
class Play {
  readonly lines: string[] = []
  readonly raw: RawClient
  readonly #prefix: string
  readonly #stage: Stage
  readonly #topicIds = new Map<string, string>()
  readonly #names = new Map<string, string>()

  constructor(stage: Stage, prefix: string) {
    this.raw = stage.raw
    this.#stage = stage
    this.#prefix = prefix
  }

  full(name: string): string {
    return `${this.#prefix}-${name}`
  }

  member(memberId: string, options: { group?: string; instanceId?: string } = {}): ConsumerGroupClient {
    const groupId = this.full(options.group ?? 'g')
    const topicIds = this.#topicIds
    return new ConsumerGroupClient(this.raw, { groupId, memberId, topicIds, instanceId: options.instanceId ?? null })
  }

  async createTopic(name: string, count: number): Promise<string> {
    const topic = { name: this.full(name), numPartitions: count, replicationFactor: 1, assignments: [], configs: [] }
    const answer = await this.raw.request(CreateTopics, 7, { topics: [topic], timeoutMs: 5000, validateOnly: false })
    this.#topicIds.set(name, answer.topics[0]?.topicId ?? ZERO_UUID)
    this.#names.set(answer.topics[0]?.topicId ?? ZERO_UUID, name)
    await this.#stage.pause()
    return this.full(name)
  }

  /** Asks until the answer gives partitions; a broker may hear of topics a little later. */
  async news(member: ConsumerGroupClient): Promise<BeatAnswer> {
    for (let left = PATIENCE; ; left--) {
      const answer = await member.beat()
      if (answer.errorCode !== 0 || answer.assignment !== null || left === 0) return answer
      await this.#stage.pause()
    }
  }

  async pause(): Promise<void> {
    await this.#stage.pause()
  }

  say(what: string, value: unknown): void {
    const text = JSON.stringify(value) ?? 'undefined'
    this.lines.push(`${what}: ${text.replaceAll(`${this.#prefix}-`, '')}`)
  }

  told(what: string, answer: BeatAnswer): void {
    const { errorCode, errorMessage, memberId, memberEpoch, heartbeatIntervalMs, assignment } = answer
    if (errorCode !== 0) this.say(what, { code: errorCode, hasMessage: errorMessage !== null })
    else this.say(what, { memberId, epoch: memberEpoch, every: heartbeatIntervalMs, parts: this.#parts(assignment) })
  }

  async describe(member: ConsumerGroupClient, version = 1): Promise<void> {
    const { members, groupId: _, errorMessage, ...group } = await member.describe(version)
    const told = members.map(({ assignment, targetAssignment, ...rest }) => ({
      ...rest,
      subscribedTopicNames: [...rest.subscribedTopicNames].sort(),
      has: this.#parts(assignment),
      target: this.#parts(targetAssignment),
    }))
    told.sort((a, b) => a.memberId.localeCompare(b.memberId))
    this.say('describe', { ...group, hasMessage: errorMessage !== null, members: told })
  }

  /** Who has what, and who shall have what. */
  async parts(member: ConsumerGroupClient): Promise<void> {
    const { members } = await member.describe()
    const told = members.map((one) => {
      return [one.memberId, one.memberEpoch, this.#parts(one.assignment), this.#parts(one.targetAssignment)] as const
    })
    this.say(
      'has, shall have',
      [...told].sort(([a], [b]) => a.localeCompare(b)),
    )
  }

  #parts(of: { topicPartitions: readonly { topicId: string; partitions: readonly number[] }[] } | null): Parts | null {
    if (of === null) return null
    const named = of.topicPartitions.map(({ topicId, partitions }) => {
      return [this.#names.get(topicId) ?? topicId, [...partitions].sort((a, b) => a - b)] as const
    })
    return Object.fromEntries([...named].sort(([a], [b]) => a.localeCompare(b)))
  }
}

export async function refusals(stage: Stage, prefix: string): Promise<string[]> {
  const play = new Play(stage, prefix)
  const t = await play.createTopic('t', 4)
  const a = play.member('A')
  play.told('no group, epoch 1', await a.beat({ memberEpoch: 1 }))
  play.told('no group, leave', await a.leave())
  play.told('no group id', await a.join([t], { groupId: '' }))
  play.told('no member id', await a.join([t], { memberId: '' }))
  play.told('empty rack', await a.join([t], { rackId: '' }))
  play.told('empty instance', await a.join([t], { instanceId: '' }))
  play.told('no rebalance timeout', await a.join([t], { rebalanceTimeoutMs: -1 }))
  play.told('no owned list', await a.join([t], { topicPartitions: null }))
  play.told('owns something', await a.join([t], { topicPartitions: a.wire({ t: [0] }) }))
  play.told('no subscription', await a.join(null))
  play.told('a pattern that is none', await a.join(null, { subscribedTopicRegex: 'x(' }))
  play.told('unknown assignor', await a.join([t], { serverAssignor: 'nope' }))
  play.told('empty assignor', await a.join([t], { serverAssignor: '' }))
  play.told('-2 without instance', await a.leave(-2))
  play.told('-3', await a.leave(-3))
  play.say('still no group', (await a.describe()).errorCode)
  for (const [group, topics, more] of [
    ['no-time', [t], { rebalanceTimeoutMs: 0 }],
    ['no-topics', [], {}],
    ['two-ways', [t], { subscribedTopicRegex: 'x.*' }],
    ['no-pattern', null, { subscribedTopicRegex: '' }],
    ['no-such-topic', ['nope'], {}],
    ['no-name', ['no pe'], {}],
  ] as const) {
    const member = play.member('A', { group })
    play.told(group, await member.join(topics, more))
    await member.leave()
  }
  const made = await play.member('', { group: 'old' }).join([t], {}, 0)
  play.say('v0 gives an id', [made.errorCode, made.memberId?.length, made.memberEpoch])
  play.say('all topics of v0', made.assignment?.topicPartitions[0]?.partitions)

  await a.join([t])
  play.told('higher epoch', await a.beat({ memberEpoch: 9 }))
  play.told('unknown member', await play.member('X').beat({ memberEpoch: 1 }))
  play.told('unknown member leaves', await play.member('X').leave())
  play.told('an instance on a dynamic member', await a.beat({ instanceId: 'zz' }))
  play.told('later: a pattern that is none', await a.beat({ subscribedTopicRegex: '(' }))
  play.told('later: unknown assignor', await a.beat({ serverAssignor: 'zz' }))
  play.told('later: owns what it was not given', await a.own({ t: [0, 1, 2, 3, 4] }))
  play.told('later: owns less', await a.own({ t: [0] }))
  play.told('later: another time', await a.beat({ rebalanceTimeoutMs: 1000 }))
  play.told('later: a rack', await a.beat({ rackId: 'r' }))
  return play.lines
}

export async function dynamicConsumers(stage: Stage, prefix: string): Promise<string[]> {
  const play = new Play(stage, prefix)
  const t = await play.createTopic('t', 4)
  const [a, b, c, d, e] = ['A', 'B', 'C', 'D', 'E'].map((id) => play.member(id)) as [
    ConsumerGroupClient,
    ConsumerGroupClient,
    ConsumerGroupClient,
    ConsumerGroupClient,
    ConsumerGroupClient,
  ]
  play.told('A joins', await a.join([t]))
  play.told('A joins again', await a.join([t]))
  play.told('A', await a.beat())
  play.told('A says everything', await a.own(a.assigned, { rebalanceTimeoutMs: 5000, subscribedTopicNames: [t] }))
  play.told('A owns', await a.own())
  play.told('B joins', await b.join([t]))
  await play.describe(a)
  play.told('A has to let go', await a.beat())
  await play.describe(a)
  play.told('A has not yet', await a.beat())
  play.told('A says it owns all', await a.own({ t: [0, 1, 2, 3] }))
  play.told('B waits', await b.beat())
  play.told('A let go', await a.own())
  play.told('B gets', await b.beat())
  await play.describe(b, 0)
  play.told('B owns', await b.own())
  await offsetsOfMembers(play, [t], a)
  play.told('B, epoch before without owned', await b.beat({ memberEpoch: 1 }))
  play.told('B, epoch before with owned', await b.own(b.assigned, { memberEpoch: 1 }))
  play.told('A, epoch before with owned', await a.own(a.assigned, { memberEpoch: 1 }))
  play.told('A, epoch before, owns more', await a.own({ t: [0, 1, 2] }, { memberEpoch: 1 }))
  play.told('A joins in epoch 2', await a.join([t]))
  a.epoch = 2
  await administration(play, t, a)

  play.told('C joins', await c.join([t]))
  play.told('D joins', await d.join([t]))
  await play.parts(a)
  play.told('A has to let go', await a.beat())
  play.told('B has to let go', await b.beat())
  play.told('E joins', await e.join([t]))
  await play.parts(a)
  play.told('A let go', await a.own())
  play.told('C', await c.beat())
  play.told('D', await d.beat())
  play.told('B let go', await b.own())
  play.told('D', await d.beat())
  play.told('C', await c.beat())
  play.told('E', await e.beat())
  play.told('D leaves', await d.leave())
  play.told('E', await e.beat())
  play.told('A', await a.beat())
  for (const member of [b, c, e]) await member.leave()
  play.told('A has all', await a.beat())
  play.told('A leaves', await a.leave())
  play.told('A leaves again', await a.leave())
  await play.describe(a)
  await emptyGroup(play, t, a)
  return play.lines
}

/** Commits and questions in right and wrong epochs; A is in epoch 2. */
async function offsetsOfMembers(play: Play, [topic = '']: readonly string[], a: ConsumerGroupClient): Promise<void> {
  const partitions = [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }]
  const topics = [{ name: topic, partitions }]
  const commit = (more: Parameters<ConsumerGroupClient['commit']>[1], version = 9) =>
    a.commit(1, { topics, ...more }, version)
  play.say('commit', await commit({}))
  play.say('commit, older epoch', await commit({ generationIdOrMemberEpoch: 1 }))
  play.say('commit, newer epoch', await commit({ generationIdOrMemberEpoch: 3 }))
  play.say('commit, no epoch', await commit({ generationIdOrMemberEpoch: -1 }))
  play.say('commit, v8', await commit({}, 8))
  play.say('commit, stranger', await commit({ memberId: 'X' }))
  play.say('commit, stranger, v8', await commit({ memberId: 'X' }, 8))
  play.say('commit, nobody', await commit({ memberId: '', generationIdOrMemberEpoch: -1 }))
  play.say('commit, other instance', await commit({ groupInstanceId: 'zzz' }))
  const fetched = async (more: Parameters<ConsumerGroupClient['committed']>[0]) => (await a.committed(more))[0]
  play.say('fetch', await fetched({}))
  play.say('fetch, older epoch', await fetched({ memberEpoch: 1 }))
  play.say('fetch, newer epoch', await fetched({ memberEpoch: 9 }))
  play.say('fetch, no epoch', await fetched({ memberEpoch: -1 }))
  play.say('fetch, stranger', await fetched({ memberId: 'X' }))
  play.say('fetch, from outside', await fetched({ memberId: null, memberEpoch: -1 }))
  play.say('fetch, empty id', await fetched({ memberId: '', memberEpoch: -1 }))
  const nobody = play.member('A', { group: 'none' })
  nobody.epoch = 1
  play.say('fetch, no group', await nobody.committed())
  play.say('commit, no group', await nobody.commit(1, { topics }))
  play.say('commit, no group, v8', await nobody.commit(1, { topics }, 8))
}

/** What the group is to administrators and to members of the classic protocol. */
async function administration(play: Play, topic: string, { raw, groupId }: ConsumerGroupClient): Promise<void> {
  play.say('list', await list(play, groupId))
  for (const version of [5, 6]) {
    const asked = { groups: [groupId], includeAuthorizedOperations: false }
    const [told] = (await raw.request(DescribeGroups, version, asked)).groups
    play.say(`classic description, v${version}`, [told?.errorCode, told?.groupState, told?.members.length])
  }
  play.say('delete', (await raw.request(DeleteGroups, 2, { groupsNames: [groupId] })).results[0]?.errorCode)
  const topics = [{ name: topic, partitions: [{ partitionIndex: 0 }] }]
  const forgotten = await raw.request(OffsetDelete, 0, { groupId, topics })
  play.say('forget', [forgotten.errorCode, forgotten.topics[0]?.partitions[0]?.errorCode])
  const beat = await raw.request(Heartbeat, 4, { groupId, memberId: 'A', generationId: 2 })
  play.say('classic heartbeat', beat.errorCode)
  const body = { groupId, memberId: 'A', generationId: 2, assignments: [] }
  const sync = await raw.request(SyncGroup, 5, { ...body, protocolType: 'consumer', protocolName: 'range' })
  play.say('classic sync', sync.errorCode)
  play.say('classic sync without names', (await raw.request(SyncGroup, 5, body)).errorCode)
  const members = [{ memberId: 'X' }, { memberId: '', groupInstanceId: 'q' }]
  const left = await raw.request(LeaveGroup, 5, { groupId, members })
  play.say('classic leave', [left.errorCode, left.members.map(({ errorCode }) => errorCode)])
  play.say('join of another type', (await classicJoin(raw, groupId, { protocolType: 'connect' })).errorCode)
  play.say('classic join without protocols', (await classicJoin(raw, groupId, { protocols: [] })).errorCode)
}

async function list({ raw }: Play, groupId: string) {
  const ask = async (statesFilter: string[], typesFilter: string[]) => {
    const { groups } = await raw.request(ListGroups, 5, { statesFilter, typesFilter })
    const own = groups.filter((one) => one.groupId === groupId)
    return own.map(({ protocolType, groupState, groupType }) => [protocolType, groupState, groupType])
  }
  return [await ask([], []), await ask(['stable'], ['Consumer']), await ask([], ['classic']), await ask(['Empty'], [])]
}

function classicJoin(raw: RawClient, groupId: string, more: Partial<RequestOf<typeof JoinGroup>> = {}) {
  const fields = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: '', protocolType: 'consumer' }
  return raw.request(JoinGroup, 9, { groupId, ...fields, protocols: RANGE, ...more })
}

/** Nobody is left in the group: offsets stay, and it may become a classic group and come back. */
async function emptyGroup(play: Play, topic: string, a: ConsumerGroupClient): Promise<void> {
  const { raw, groupId } = a
  const topics = [{ name: topic, partitions: [{ partitionIndex: 0, committedOffset: 7, committedMetadata: '' }] }]
  const commit = (memberId: string, epoch: number, version = 9) =>
    a.commit(7, { topics, memberId, generationIdOrMemberEpoch: epoch }, version)
  play.say('empty: commit of an epoch', await commit('A', 1))
  play.say('empty: commit from outside', await commit('', -1))
  play.say('empty: commit from outside, v8', await commit('', -1, 8))
  play.told('A is back', await a.join([topic]))
  await a.leave()
  play.say('classic join with an id', (await classicJoin(raw, groupId, { memberId: 'Y' })).errorCode)
  const first = await classicJoin(raw, groupId)
  play.say('classic join', first.errorCode)
  const second = await classicJoin(raw, groupId, { memberId: first.memberId })
  play.say('classic join, second step', [second.errorCode, second.generationId])
  const { memberId } = first
  const names = { protocolType: 'consumer', protocolName: 'range' }
  const assignments = [{ memberId, assignment: Buffer.alloc(0) }]
  const generationId = second.generationId
  const synced = await raw.request(SyncGroup, 5, { groupId, memberId, generationId, ...names, assignments })
  play.say('classic sync', synced.errorCode)
  play.say('describe', (await a.describe()).errorCode)
  play.say('list', await list(play, groupId))
  play.told('heartbeat to a classic group', await a.beat({ memberEpoch: 1 }))
  play.told('leave a classic group', await a.leave())
  await raw.request(LeaveGroup, 5, { groupId, members: [{ memberId }] })
  play.told('A joins the empty classic group', await a.join([topic]))
  play.say('delete', (await raw.request(DeleteGroups, 2, { groupsNames: [groupId] })).results[0]?.errorCode)
  await a.leave()
  play.say('delete, empty', (await raw.request(DeleteGroups, 2, { groupsNames: [groupId] })).results[0]?.errorCode)
  play.say('describe, deleted', (await a.describe()).errorCode)
}

export async function staticConsumers(stage: Stage, prefix: string): Promise<string[]> {
  const play = new Play(stage, prefix)
  const t = await play.createTopic('t', 4)
  const [old, fresh] = [play.member('OLD', { instanceId: 'one' }), play.member('NEW', { instanceId: 'one' })]
  const other = play.member('OTHER')
  play.told('OLD joins', await old.join([t]))
  play.told('NEW joins', await fresh.join([t]))
  play.told('OLD joins again', await old.join([t]))
  play.told('NEW beats', await fresh.beat({ memberEpoch: 1 }))
  play.told('OLD without instance', await old.beat({ instanceId: null }))
  play.told('OLD as another instance', await old.beat({ instanceId: 'two' }))
  play.told('NEW leaves', await fresh.leave(-2))
  play.told('OLD steps away', await old.leave(-2))
  await play.describe(old)
  play.told('OLD beats while away', await old.beat({ memberEpoch: 1 }))
  play.told('OTHER joins', await other.join([t]))
  play.told('OTHER', await other.beat())
  play.told('NEW comes', await fresh.join([t]))
  play.told('NEW', await fresh.beat())
  play.told('NEW lets go', await fresh.own())
  play.told('OTHER', await other.beat())
  await play.describe(fresh)
  play.told('OLD', await old.beat({ memberEpoch: 1 }))
  play.told('OLD leaves', await old.leave(-1))
  play.told('NEW steps away', await fresh.leave(-2))
  play.told('NEW comes back itself', await fresh.join([t]))
  play.told('NEW leaves for good', await fresh.leave(-1))
  play.told('OTHER has all', await other.beat())
  return play.lines
}

export async function subscribers(stage: Stage, prefix: string): Promise<string[]> {
  const play = new Play(stage, prefix)
  const t = await play.createTopic('t', 4)
  const u = await play.createTopic('u', 2)
  const a = play.member('A', { group: 'change' })
  await a.join([t])
  play.told('nothing any more', await a.beat({ subscribedTopicNames: [] }))
  play.told('still owns', await a.own({ t: [0, 1, 2, 3] }))
  play.told('owns nothing', await a.own({}))
  play.told('t again', await a.beat({ subscribedTopicNames: [t] }))
  play.told('the same', await a.beat({ subscribedTopicNames: [t] }))
  play.told('another assignor', await a.beat({ serverAssignor: 'range' }))
  await play.describe(a)

  const later = play.member('A', { group: 'later' })
  play.told('a topic to come', await later.join([t, play.full('v')]))
  await play.createTopic('v', 3)
  play.told('it came', await play.news(later))
  await play.raw.request(CreatePartitions, 3, {
    topics: [{ name: play.full('v'), count: 5, assignments: null }],
    timeoutMs: 5000,
    validateOnly: false,
  })
  play.told('it grew', await play.news(later))
  await play.raw.request(DeleteTopics, 6, { topics: [{ name: play.full('v'), topicId: ZERO_UUID }], timeoutMs: 5000 })
  play.told('it went', await play.news(later))
  play.told('acknowledged', await later.own({ t: [0, 1, 2, 3] }))

  const [m1, m2, m3] = ['1', '2', '3'].map((id) => play.member(id, { group: 'mixed' }))
  await m1?.join([t, u])
  await m2?.join([u])
  await m3?.join([t])
  await play.parts(m1 as ConsumerGroupClient)

  const ranged = ['1', '2', '3'].map((id) => play.member(id, { group: 'range' }))
  for (const member of ranged) {
    await member.join([t, u], { serverAssignor: 'range' })
    await play.parts(member)
  }
  await patterns(play, t, u)
  return play.lines
}

async function patterns(play: Play, t: string, u: string): Promise<void> {
  const a = play.member('A', { group: 'pattern' })
  play.told('a new pattern', await a.join(null, { subscribedTopicRegex: `${t.slice(0, -1)}[t]` }))
  play.told('matched', await play.news(a))
  const b = play.member('B', { group: 'pattern' })
  play.told('B: the same pattern', await b.join(null, { subscribedTopicRegex: `${t.slice(0, -1)}[t]` }))
  play.told('A lets go', await a.own({ t: [0, 1] }))
  play.told('B', await b.beat())
  await b.leave()
  play.told('A', await a.beat())
  play.told('A wants no pattern', await a.beat({ subscribedTopicRegex: '' }))
  play.told('A', await a.own({}))
  await play.describe(a)

  const both = play.member('A', { group: 'both' })
  await both.join([u], { subscribedTopicRegex: t })
  play.told('names and a pattern', await play.news(both))
  const part = play.member('A', { group: 'part' })
  await part.join(null, { subscribedTopicRegex: t.slice(0, -1) })
  await play.pause()
  play.told('a pattern is for the whole name', await part.beat())
  const codes: [string, number][] = []
  for (const pattern of PATTERNS) {
    const answer = await play.member('A', { group: `p${codes.length}` }).join(null, { subscribedTopicRegex: pattern })
    codes.push([pattern, answer.errorCode])
  }
  play.say('patterns', codes)
}

const PATTERNS = [
  '(?i)T',
  'a(?=b)',
  '(a)\\1',
  '[[:alpha:]]+',
  '\\Qa.b\\E',
  '(?P<x>a)',
  '(?<x>a)',
  'a**',
  'a++',
  'a{2000}',
].concat(['\\pL', '\\z', 'x{', '[', ']', '*a', '\\d', '\\-', '\\y', '(?s).', 'a{,2}', '\\u0041', '\\x41', '\\/'])
