/** One member of a classic group, played by hand: each request by name, each answer with the fields that matter. */
import {
  Heartbeat,
  JoinGroup,
  LeaveGroup,
  OffsetCommit,
  OffsetFetch,
  type RequestOf,
  SyncGroup,
} from '../../lib/protocol/index.js'
import type { RawClient } from './raw-client.js'

/** A subscription of version 0 to these topics, no user data. */
export function subscription(...topics: string[]): Buffer {
  return Buffer.concat([int16(0), int32(topics.length), ...topics.map(text), int32(-1)])
}

/** An assignment of version 0. */
export function assignment(topic: string, ...partitions: number[]): Buffer {
  return Buffer.concat([int16(0), int32(1), text(topic), int32(partitions.length), ...partitions.map(int32), int32(-1)])
}

const int16 = (value: number) => Buffer.from([value >> 8, value & 0xff])
const int32 = (value: number) => Buffer.from([value >> 24, value >> 16, value >> 8, value].map((byte) => byte & 0xff))
const text = (value: string) => Buffer.concat([int16(value.length), Buffer.from(value)])

export const RANGE = [{ name: 'range', metadata: subscription('t') }]
export const SESSION_MS = 10_000
export const REBALANCE_MS = 20_000

export class GroupClient {
  memberId = ''
  generation = -1
  readonly raw: RawClient
  readonly groupId: string
  readonly instanceId: string | null

  constructor(raw: RawClient, groupId = 'g', instanceId: string | null = null) {
    this.raw = raw
    this.groupId = groupId
    this.instanceId = instanceId
  }

  /** Remembers member id and generation of the answer. */
  async join(more: Partial<RequestOf<typeof JoinGroup>> = {}, version = 9) {
    const answer = await this.raw.request(JoinGroup, version, {
      groupId: this.groupId,
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: version >= 1 ? REBALANCE_MS : -1,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      protocolType: 'consumer',
      protocols: RANGE,
      ...more,
    })
    if (answer.errorCode === 0 || answer.errorCode === 79) this.memberId = answer.memberId
    if (answer.errorCode === 0) this.generation = answer.generationId
    return answer
  }

  /** Both steps. */
  async enter(more: Partial<RequestOf<typeof JoinGroup>> = {}) {
    await this.join(more)
    return this.join(more)
  }

  async sync(
    parts: Readonly<Record<string, Buffer>> = {},
    more: Partial<RequestOf<typeof SyncGroup>> = {},
    version = 5,
  ) {
    return this.raw.request(SyncGroup, version, {
      groupId: this.groupId,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      protocolType: version >= 5 ? 'consumer' : null,
      protocolName: version >= 5 ? 'range' : null,
      assignments: Object.entries(parts).map(([memberId, bytes]) => ({ memberId, assignment: bytes })),
      ...more,
    })
  }

  async heartbeat(more: Partial<RequestOf<typeof Heartbeat>> = {}): Promise<number> {
    const { groupId, memberId, instanceId, generation } = this
    const body = { groupId, memberId, groupInstanceId: instanceId, generationId: generation, ...more }
    return (await this.raw.request(Heartbeat, 4, body)).errorCode
  }

  async leave(members: { memberId: string; groupInstanceId?: string | null }[] = [{ memberId: this.memberId }]) {
    const named = members.map(({ memberId, groupInstanceId = null }) => ({ memberId, groupInstanceId }))
    const answer = await this.raw.request(LeaveGroup, 5, { groupId: this.groupId, members: named })
    return [answer.errorCode, ...answer.members.map(({ errorCode }) => errorCode)]
  }

  /** Commits for partition 0 of `t`, as this member unless told otherwise. */
  async commit(committedOffset: number, more: Partial<RequestOf<typeof OffsetCommit>> = {}, version = 9) {
    const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }]
    const answer = await this.raw.request(OffsetCommit, version, {
      groupId: this.groupId,
      memberId: this.memberId,
      groupInstanceId: this.instanceId,
      generationIdOrMemberEpoch: this.generation,
      topics: [{ name: 't', partitions }],
      ...more,
    })
    return answer.topics[0]?.partitions[0]?.errorCode
  }

  async committed(): Promise<number | undefined> {
    const topics = [{ name: 't', partitionIndexes: [0] }]
    const answer = await this.raw.request(OffsetFetch, 9, { groups: [{ groupId: this.groupId, topics }] })
    return answer.groups[0]?.topics[0]?.partitions[0]?.committedOffset
  }
}

/** What a commit without a group looks like. */
export const SIMPLE = { memberId: '', groupInstanceId: null, generationIdOrMemberEpoch: -1 }
