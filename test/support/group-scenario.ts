/**
 * A conversation with a group coordinator, written down line by line with member ids replaced by names: what the
 * in-process broker says is compared with what a real Kafka says (F-1), and with what is written in the test.
 */
import {
  DeleteGroups,
  DescribeGroups,
  JoinGroup,
  LeaveGroup,
  ListGroups,
  OffsetDelete,
  OffsetFetch,
} from '../../lib/protocol/index.js'
import { assignment, GroupClient, RANGE, SIMPLE, subscription } from '../broker/group-client.js'
import type { RawClient } from '../broker/raw-client.js'

export interface Stage {
  readonly connect: () => Promise<RawClient>
  /** Settles when the group is in that state. */
  readonly reached: (groupId: string, state: string) => Promise<void>
}

class Script {
  readonly lines: string[] = []
  readonly #names = new Map<string, string>()

  name(memberId: string, name: string): void {
    this.#names.set(memberId, name)
  }

  say(what: string, value: unknown): void {
    let text = JSON.stringify(value)
    for (const [id, name] of this.#names) text = text.replaceAll(id, name)
    this.lines.push(`${what}: ${text}`)
  }
}

type Joined = Awaited<ReturnType<GroupClient['join']>>

const brief = (answer: Joined) => ({
  code: answer.errorCode,
  generation: answer.generationId,
  type: answer.protocolType,
  name: answer.protocolName,
  leader: answer.leader,
  skip: answer.skipAssignment,
  me: answer.memberId,
  members: answer.members.map(({ groupInstanceId, metadata }) => [groupInstanceId, metadata.length]).sort(),
})
const briefSync = (answer: Awaited<ReturnType<GroupClient['sync']>>) => ({
  code: answer.errorCode,
  type: answer.protocolType,
  name: answer.protocolName,
  part: Buffer.from(answer.assignment).toString('hex'),
})

export async function dynamicMembers(stage: Stage, groupId: string): Promise<string[]> {
  const script = new Script()
  const a = new GroupClient(await stage.connect(), groupId)
  const b = new GroupClient(await stage.connect(), groupId)
  const outside = new GroupClient(await stage.connect(), groupId)
  script.say(
    'commit of a generation, no group, v8',
    await outside.commit(1, { generationIdOrMemberEpoch: 1, memberId: 'x' }, 8),
  )
  script.say('the same, v9', await outside.commit(1, { generationIdOrMemberEpoch: 1, memberId: 'x' }))
  script.say('heartbeat, no group', await outside.heartbeat({ memberId: 'x', generationId: 1 }))
  script.say('join with an id, no group', brief(await outside.join({ memberId: 'x' })).code)
  script.say('sync, no group', (await outside.sync({}, { memberId: 'x' })).errorCode)
  script.say('leave, no group', await outside.leave([{ memberId: 'x' }]))
  const single = await outside.raw.request(LeaveGroup, 2, { groupId, memberId: 'x', members: [] })
  script.say('leave v2, no group', single.errorCode)

  const first = await a.join()
  script.name(first.memberId, 'A')
  script.say('A first step', brief(first))
  script.say('A joins', brief(await a.join()))
  script.say('A heartbeat before sync', await a.heartbeat())
  script.say('A commit before sync', await a.commit(5))
  script.say('A joins again before sync', brief(await a.join()))
  script.say('A sync of another protocol', (await a.sync({}, { protocolName: 'other' })).errorCode)
  script.say('A sync of another type', (await a.sync({}, { protocolType: 'other' })).errorCode)
  script.say('A sync', briefSync(await a.sync({ [a.memberId]: assignment('t', 0, 1) })))
  script.say('A sync again', briefSync(await a.sync()))
  script.say('A heartbeat', await a.heartbeat())
  script.say('A commit', await a.commit(7))
  script.say('A heartbeat, other generation', await a.heartbeat({ generationId: 9 }))
  script.say('A commit, other generation', await a.commit(8, { generationIdOrMemberEpoch: 9 }))
  script.say('A sync, other generation', (await a.sync({}, { generationId: 9 })).errorCode)
  script.say('commit without generation', await outside.commit(8, SIMPLE))
  script.say('commit of a stranger', await outside.commit(8, { memberId: 'x', generationIdOrMemberEpoch: 1 }))
  script.say('join of another type', (await outside.join({ protocolType: 'connect' })).errorCode)
  script.say(
    'join without common protocol',
    (await outside.join({ protocols: [{ ...RANGE[0]!, name: 'z' }] })).errorCode,
  )

  const second = await b.join()
  script.name(second.memberId, 'B')
  const bJoined = b.join()
  await stage.reached(groupId, 'PreparingRebalance')
  script.say('A heartbeat, B joins', await a.heartbeat())
  script.say('A commit, B joins', await a.commit(9))
  script.say('A sync, B joins', (await a.sync()).errorCode)
  script.say('A joins again', brief(await a.join()))
  script.say('B joined', brief(await bJoined))
  const bSynced = b.sync()
  const parts = { [a.memberId]: assignment('t', 0), [b.memberId]: assignment('t', 1) }
  script.say('A assigns', briefSync(await a.sync(parts)))
  script.say('B synced', briefSync(await bSynced))
  script.say('B joins again, nothing new', brief(await b.join()))
  script.say('describe', await describeGroup(outside, 6))
  script.say('list', await list(outside))
  script.say('delete', await deleteGroup(outside))
  script.say('forget offsets in use', await forget(outside, 't'))
  script.say('forget offsets of no topic', await forget(outside, 'none'))

  script.say('A and a stranger leave', await outside.leave([{ memberId: a.memberId }, { memberId: 'x' }]))
  script.say('A heartbeat, left', await a.heartbeat())
  script.say('B heartbeat, A left', await b.heartbeat())
  script.say('B joins alone', brief(await b.join()))
  script.say('B sync', (await b.sync({ [b.memberId]: assignment('t', 0, 1) })).errorCode)
  script.say('B leaves', await b.leave())
  script.say('B leaves again', await b.leave())
  script.say('describe empty', await describeGroup(outside, 6))
  script.say('heartbeat, empty', await b.heartbeat())
  script.say('join with an old id, empty', (await b.join()).errorCode)
  script.say('commit of the old member, empty', await b.commit(11))
  script.say('commit without generation, empty', await outside.commit(12, SIMPLE))
  script.say('committed', await outside.committed())
  script.say('forget offsets', await forget(outside, 't'))
  script.say('committed', await outside.committed())
  script.say('delete', await deleteGroup(outside))
  script.say('delete again', await deleteGroup(outside))
  script.say('describe v5, deleted', await describeGroup(outside, 5))
  script.say('describe v6, deleted', await describeGroup(outside, 6))
  script.say('forget, deleted', await forget(outside, 't'))
  script.say('committed, deleted', await outside.committed())
  return script.lines
}

export async function staticMembers(stage: Stage, groupId: string): Promise<string[]> {
  const script = new Script()
  const old = new GroupClient(await stage.connect(), groupId, 'one')
  const other = new GroupClient(await stage.connect(), groupId, 'two')
  const fresh = new GroupClient(await stage.connect(), groupId, 'one')
  const joined = await old.join()
  script.name(joined.memberId, 'OLD')
  script.say('joins at once', brief(joined))
  script.say('sync', (await old.sync({ [old.memberId]: assignment('t', 0, 1) })).errorCode)
  const otherJoined = other.join()
  await stage.reached(groupId, 'PreparingRebalance')
  script.say('OLD joins again', (await old.join()).errorCode)
  script.name((await otherJoined).memberId, 'TWO')
  const otherSynced = other.sync()
  await old.sync({ [old.memberId]: assignment('t', 0), [other.memberId]: assignment('t', 1) })
  script.say('TWO synced', briefSync(await otherSynced))

  const back = await fresh.join()
  script.name(back.memberId, 'NEW')
  script.say('the leader comes back, v9', brief(back))
  script.say('NEW sync', briefSync(await fresh.sync()))
  script.say('TWO heartbeat, not disturbed', await other.heartbeat())
  script.say('OLD heartbeat', await old.heartbeat())
  script.say('OLD commit', await old.commit(1))
  script.say('OLD sync', (await old.sync()).errorCode)
  script.say('OLD joins', (await old.join()).errorCode)
  script.say('OLD leaves', await old.leave([{ memberId: old.memberId, groupInstanceId: 'one' }]))
  script.say('NEW without instance', await fresh.heartbeat({ groupInstanceId: null }))
  script.say('NEW as an unknown instance', await fresh.heartbeat({ groupInstanceId: 'three' }))
  const again = new GroupClient(await stage.connect(), groupId, 'one')
  const older = await again.join({}, 8)
  script.name(older.memberId, 'NEWER')
  script.say('the leader comes back, v8', brief(older))
  script.say('describe', await describeGroup(again, 6))
  const away = { memberId: '', groupInstanceId: 'three' }
  const removed = [{ memberId: '', groupInstanceId: 'one' }, away, { memberId: '', groupInstanceId: 'two' }]
  script.say('an administrator removes', await other.leave(removed))
  script.say('describe', await describeGroup(other, 6))
  script.say('delete', await deleteGroup(other))
  return script.lines
}

export async function choices(stage: Stage, groupId: string): Promise<string[]> {
  const script = new Script()
  const a = new GroupClient(await stage.connect(), groupId)
  const b = new GroupClient(await stage.connect(), groupId)
  const c = new GroupClient(await stage.connect(), groupId)
  script.say('session too short', (await a.join({ sessionTimeoutMs: 10 })).errorCode)
  script.say('session too long', (await a.join({ sessionTimeoutMs: 10_000_000 })).errorCode)
  script.say('no group id', brief(await a.join({ groupId: '' })))
  script.say('no group id to sync', (await a.sync({}, { groupId: '' })).errorCode)
  script.say('no group id to heartbeat', await a.heartbeat({ groupId: '' }))
  script.say('no protocols', (await a.join({ protocols: [] })).errorCode)
  script.say('no type', (await a.join({ protocolType: '' })).errorCode)
  script.say('v6 error', brief(await a.join({ sessionTimeoutMs: 10 }, 6)))

  const offer = (...names: string[]) => names.map((name) => ({ name, metadata: subscription('t') }))
  script.name((await a.join()).memberId, 'A')
  await a.join({ protocols: offer('x', 'y', 'z') })
  await a.sync({}, { protocolName: 'x' })
  const joins: Promise<unknown>[] = []
  for (const [member, name] of [
    [b, 'B'],
    [c, 'C'],
  ] as const) {
    const protocols = offer('y', 'z')
    const more: Partial<Parameters<GroupClient['join']>[0]> = { protocols }
    script.name((await member.join(more)).memberId, name)
    joins.push(member.join(more))
  }
  await stage.reached(groupId, 'PreparingRebalance')
  const chosen = await a.join({ protocols: offer('x', 'z', 'y') })
  script.say('votes', [chosen.protocolName, chosen.members.length])
  await Promise.all(joins)
  script.say('all leave', await a.leave([a, b, c].map(({ memberId }) => ({ memberId }))))

  const long = { partitionIndex: 0, committedOffset: 1, committedMetadata: 'm'.repeat(4097) }
  script.say('metadata too long', await a.commit(1, { ...SIMPLE, topics: [{ name: 't', partitions: [long] }] }))
  const none = { partitionIndex: 0, committedOffset: 1, committedMetadata: null }
  script.say('no such topic', await a.commit(1, { ...SIMPLE, topics: [{ name: 'none', partitions: [none] }] }))
  script.say('no metadata', await a.commit(3, { ...SIMPLE, topics: [{ name: 't', partitions: [none] }] }))
  const topics = [{ name: 't', partitionIndexes: [0, 1] }]
  const many = {
    groups: [
      { groupId, topics },
      { groupId: `${groupId}-none`, topics },
      { groupId, topics: null },
    ],
  }
  const fetched = await a.raw.request(OffsetFetch, 9, many)
  script.say(
    'offsets of several groups',
    fetched.groups.map(({ topics: found, errorCode }) => [errorCode, found]),
  )
  const one = await a.raw.request(OffsetFetch, 5, { groupId, topics })
  script.say('offsets of one group', [one.errorCode, one.topics])
  const early = await a.raw.request(JoinGroup, 3, {
    groupId: `${groupId}-old`,
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberId: '',
    protocolType: 'consumer',
    protocols: RANGE,
  })
  script.name(early.memberId, 'EARLY')
  script.say('v3 joins in one step', brief(early))
  return script.lines
}

async function describeGroup({ raw, groupId }: GroupClient, version: number) {
  const answer = await raw.request(DescribeGroups, version, { groups: [groupId], includeAuthorizedOperations: false })
  return answer.groups.map(({ groupId: _id, members, errorMessage, ...rest }) => ({
    ...rest,
    hasMessage: errorMessage !== null,
    members: members
      .map(({ memberMetadata, memberAssignment, ...member }) => ({
        ...member,
        metadata: Buffer.from(memberMetadata).toString('hex'),
        assignment: Buffer.from(memberAssignment).toString('hex'),
      }))
      .sort((x, y) => x.assignment.localeCompare(y.assignment)),
  }))
}

async function list({ raw, groupId }: GroupClient) {
  const ask = async (statesFilter: string[], typesFilter: string[]) => {
    const { groups, errorCode } = await raw.request(ListGroups, 5, { statesFilter, typesFilter })
    const own = groups.filter((one) => one.groupId === groupId)
    return [errorCode, own.map(({ protocolType, groupState, groupType }) => [protocolType, groupState, groupType])]
  }
  return [await ask([], []), await ask(['Empty'], []), await ask(['stable'], ['Classic']), await ask([], ['consumer'])]
}

async function deleteGroup({ raw, groupId }: GroupClient) {
  return (await raw.request(DeleteGroups, 2, { groupsNames: [groupId] })).results[0]?.errorCode
}

async function forget({ raw, groupId }: GroupClient, name: string) {
  const topics = [{ name, partitions: [{ partitionIndex: 0 }] }]
  const answer = await raw.request(OffsetDelete, 0, { groupId, topics })
  return [answer.errorCode, answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))]
}
