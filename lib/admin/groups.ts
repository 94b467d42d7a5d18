/**
 * Groups of consumers: list, describe, delete.
 * Why our protocol: groups of KIP-848 answer another api (ConsumerGroupDescribe), which kafkajs does not know; it shows
 * them without members. Which of the two a group speaks is found by asking the newer api first.
 * Invariant: results stand in the order of the input. Source: features.md AD-2, KIP-848.
 */
import { findMQError, type MQError } from '../errors/index.js'
import {
  brokerError,
  ConsumerGroupDescribe,
  type DecodedResponseOf,
  DeleteGroups,
  DescribeGroups,
  kafkaError,
  ListGroups,
} from '../protocol/index.js'
import type { Call } from './call.js'
import { checkDistinct, checkGroupId, checkList } from './checks.js'
import { readAssignment, sorted } from './group-bytes.js'
import { exhausted, isPassing, type Requests } from './requests.js'
import type {
  GroupDescription,
  GroupListing,
  GroupMemberInfo,
  GroupResult,
  GroupType,
  ListGroupsOptions,
} from './types.js'

type ClassicGroup = DecodedResponseOf<typeof DescribeGroups>['groups'][number]
type ClassicMember = ClassicGroup['members'][number]
type ModernGroup = DecodedResponseOf<typeof ConsumerGroupDescribe>['groups'][number]
type ModernMember = ModernGroup['members'][number]

const GROUP_ID_NOT_FOUND = 69
const UNSUPPORTED_VERSION = 35
/** First versions of ListGroups that filter by state, and by type. */
const FILTER_STATES = 4
const FILTER_TYPES = 5
const TYPES: Readonly<Record<string, GroupType>> = {
  classic: 'classic',
  consumer: 'consumer',
  share: 'share',
  streams: 'streams',
}
const DEAD = 'Dead'

export class GroupAdmin {
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.#requests = requests
  }

  /** Every broker knows the groups it coordinates. */
  async list({ states = [], types = [] }: ListGroupsOptions, call: Call): Promise<GroupListing[]> {
    await this.#requests.cluster.connect()
    await this.#requests.cluster.refresh('groups are listed')
    const brokers = this.#requests.cluster.brokers()
    const lists = await Promise.all(brokers.map(({ brokerId }) => this.#listOf(brokerId, states, types, call)))
    const unique = new Map(lists.flat().map((group) => [group.groupId, group]))
    return [...unique.values()].sort((a, b) => (a.groupId < b.groupId ? -1 : 1))
  }

  async describe(groupIds: readonly string[], call: Call): Promise<GroupDescription[]> {
    checkGroupIds(groupIds)
    return Promise.all(groupIds.map((groupId) => this.#describe(groupId, call)))
  }

  async delete(groupIds: readonly string[], call: Call): Promise<GroupResult[]> {
    checkGroupIds(groupIds)
    return Promise.all(
      groupIds.map(async (groupId) => {
        const error = await this.#delete(groupId, call)
        return error === null ? { groupId } : { groupId, error }
      }),
    )
  }

  async #listOf(
    brokerId: number,
    states: readonly string[],
    types: readonly GroupType[],
    call: Call,
  ): Promise<GroupListing[]> {
    const body = (version: number) => ({
      statesFilter: version >= FILTER_STATES ? states : [],
      typesFilter: version >= FILTER_TYPES ? types : [],
    })
    for (let attempt = 1; ; attempt++) {
      const { errorCode, groups } = await this.#requests.broker(brokerId, ListGroups, body)
      if (errorCode === 0) return groups.map(listingOf).filter((group) => fits(group, states, types))
      const error = brokerError(errorCode, 'CONSUME_FAILED', null, { brokerId }, 'DESCRIBE')
      if (!isPassing(errorCode)) throw error
      if (attempt > this.#requests.maxRetries) throw exhausted(attempt, error)
      await this.#requests.beforeRetry(attempt, false, call)
    }
  }

  /** A coordinator that loads, or is another one by now, is asked again. */
  async #describe(groupId: string, call: Call): Promise<GroupDescription> {
    for (let attempt = 1; ; attempt++) {
      try {
        const coordinator = await this.#requests.cluster.coordinator(groupId)
        return (await this.#modern(groupId, coordinator)) ?? (await this.#classic(groupId, coordinator))
      } catch (error) {
        const known = findMQError(error)
        const code = known?.context.kafkaCode
        if (known === undefined || code === undefined) throw error
        if (!isPassing(code)) return { ...nothingOf(groupId), error: known }
        if (attempt > this.#requests.maxRetries) return { ...nothingOf(groupId), error: exhausted(attempt, known) }
        this.#requests.forgetCoordinator(groupId)
        await this.#requests.beforeRetry(attempt, false, call)
      }
    }
  }

  /** Null: not such a group, or a broker that knows none. */
  async #modern(groupId: string, coordinator: number): Promise<GroupDescription | null> {
    const body = { groupIds: [groupId], includeAuthorizedOperations: false }
    const found = await this.#requests.cluster.requestGroup(groupId, ConsumerGroupDescribe, body).then(
      ({ groups }) => groups[0],
      (error: unknown) => {
        if (findMQError(error)?.context.reason === 'UNSUPPORTED_VERSION') return undefined
        throw error
      },
    )
    if (found === undefined || isOther(found.errorCode)) return null
    if (found.errorCode !== 0)
      throw brokerError(found.errorCode, 'CONSUME_FAILED', found.errorMessage, { groupId }, 'DESCRIBE')
    return {
      groupId,
      state: found.groupState,
      type: 'consumer',
      assignor: found.assignorName,
      coordinator,
      epoch: found.groupEpoch,
      members: found.members.map(modernMember),
    }
  }

  async #classic(groupId: string, coordinator: number): Promise<GroupDescription> {
    const body = { groups: [groupId], includeAuthorizedOperations: false }
    const answer = await this.#requests.cluster.requestGroup(groupId, DescribeGroups, body)
    const found = answer.groups[0]
    // Versions below 6 call a group that does not exist dead, and say no more.
    const isUnknown = found === undefined || (found.errorCode === 0 && found.groupState === DEAD)
    const code = isUnknown ? GROUP_ID_NOT_FOUND : found.errorCode
    if (code !== 0) throw brokerError(code, 'CONSUME_FAILED', found?.errorMessage ?? null, { groupId }, 'DESCRIBE')
    const { groupState, protocolData, members } = found as ClassicGroup
    return {
      groupId,
      state: groupState,
      type: 'classic',
      assignor: protocolData,
      coordinator,
      epoch: -1,
      members: members.map(classicMember),
    }
  }

  async #delete(groupId: string, call: Call): Promise<MQError | null> {
    const failure = { operation: 'CONSUME_FAILED', context: () => ({ groupId }), needs: 'DELETE' } as const
    const errors = await this.#requests.settle([groupId], call, failure, async () => {
      const answer = await this.#requests.cluster.requestGroup(groupId, DeleteGroups, { groupsNames: [groupId] })
      const errorCode = answer.results[0]?.errorCode ?? 0
      if (isPassing(errorCode)) this.#requests.forgetCoordinator(groupId)
      return new Map([[groupId, { errorCode, errorMessage: hintOf(errorCode) }]])
    })
    return errors.get(groupId) ?? null
  }
}

function checkGroupIds(groupIds: readonly string[]): void {
  checkList('groupIds', groupIds)
  for (const groupId of groupIds) checkGroupId(groupId)
  checkDistinct('group', groupIds)
}

/** Brokers say nothing beside this number. */
function hintOf(errorCode: number): string | null {
  return kafkaError(errorCode).name === 'NON_EMPTY_GROUP' ? 'the group has members: stop its consumers first' : null
}

/** ConsumerGroupDescribe answers so for classic groups, and for none. */
function isOther(errorCode: number): boolean {
  return errorCode === GROUP_ID_NOT_FOUND || errorCode === UNSUPPORTED_VERSION
}

function nothingOf(groupId: string): GroupDescription {
  return { groupId, state: DEAD, type: 'unknown', assignor: '', coordinator: -1, epoch: -1, members: [] }
}

function listingOf({
  groupId,
  protocolType,
  groupState,
  groupType,
}: DecodedResponseOf<typeof ListGroups>['groups'][number]): GroupListing {
  return { groupId, protocolType, state: groupState, type: TYPES[groupType.toLowerCase()] ?? 'unknown' }
}

/** Brokers that cannot filter answer everything. */
function fits({ state, type }: GroupListing, states: readonly string[], types: readonly GroupType[]): boolean {
  return (states.length === 0 || states.includes(state)) && (types.length === 0 || types.includes(type))
}

function modernMember(member: ModernMember): GroupMemberInfo {
  const { memberId, instanceId, rackId, clientId, clientHost, assignment } = member
  const partitions = assignment.topicPartitions.flatMap(({ topicName, partitions: numbers }) =>
    numbers.map((partition) => ({ topic: topicName, partition })),
  )
  return { memberId, instanceId, clientId, host: clientHost, rackId, assignment: sorted(partitions) }
}

function classicMember(member: ClassicMember): GroupMemberInfo {
  const { memberId, groupInstanceId, clientId, clientHost, memberAssignment } = member
  const assignment = readAssignment(memberAssignment)
  return { memberId, instanceId: groupInstanceId, clientId, host: clientHost, rackId: null, assignment }
}
