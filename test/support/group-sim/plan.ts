/** What a seed stands for: the cluster, the group, and how its members are set up. Printed when a run fails. */
import type { AssignorName, ConsumerConfig } from '../../../lib/config/index.js'
import { type RandomSource, randomInt } from '../../../lib/util/index.js'

export type Protocol = 'classic' | 'consumer'
/** How a member reads. */
export type Way = 'record' | 'batch' | 'read' | 'readBatch' | 'iterate'

export interface Plan {
  readonly seed: number
  readonly protocol: Protocol
  readonly nodes: number
  readonly hasBrokerTrouble: boolean
  readonly topics: ReadonlyMap<string, number> // name -> partitions
  readonly recordsBefore: number // per partition
  readonly members: number
  readonly assignors: readonly AssignorName[]
  readonly isStatic: boolean
  readonly chaosMs: number
  readonly events: number
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  readonly brokerConfig: Readonly<Record<string, number>>
  readonly withSeeks: boolean
  readonly withSlowCallbacks: boolean
}

export interface MemberPlan {
  readonly way: Way
  readonly config: ConsumerConfig
  readonly isByKey: boolean
  readonly topics: readonly string[]
  /** Longest time a callback takes; 0: it returns no promise. Milliseconds. */
  readonly callbackMs: number
  /** One in so many records fails, first once or twice; 0: none. */
  readonly failsOneIn: number
  /** One in so many callbacks takes longer than `maxPollIntervalMs`; 0: none. */
  readonly hangsOneIn: number
}

const ASSIGNORS: readonly (readonly AssignorName[])[] = [
  ['cooperative-sticky'],
  ['cooperative-sticky'],
  ['range'],
  ['roundrobin'],
  ['sticky'],
  ['cooperative-sticky', 'range'],
]

export function chance(random: RandomSource, oneIn: number): boolean {
  return randomInt(random, oneIn) === 0
}

export function pick<T>(random: RandomSource, from: readonly T[]): T {
  return from[randomInt(random, from.length)] as T
}

export function between(random: RandomSource, from: number, to: number): number {
  return from + randomInt(random, to - from + 1)
}

export function makePlan(seed: number, protocol: Protocol, random: RandomSource): Plan {
  const topics = new Map([['t', between(random, 4, 12)]])
  if (chance(random, 2)) topics.set('u', between(random, 4, 8))
  const sessionTimeoutMs = between(random, 2, 4) * 1_000
  const heartbeatIntervalMs = pick(random, [200, 500, 600])
  const isStatic = chance(random, 5)
  // A coordinator that takes over in the midst of a rebalance has the former id of a static member that has just come
  // back, and answers 82 to the present one, as Kafka does: nothing a client could mend.
  const nodes = isStatic && protocol === 'classic' ? 0 : between(random, 1, 3)
  return {
    seed,
    protocol,
    nodes: Math.max(1, nodes),
    hasBrokerTrouble: nodes > 0,
    topics,
    recordsBefore: between(random, 0, 60),
    members: between(random, 3, 6),
    assignors: pick(random, ASSIGNORS),
    isStatic,
    chaosMs: between(random, 8, 20) * 1_000,
    events: between(random, 20, 60),
    sessionTimeoutMs,
    heartbeatIntervalMs,
    rebalanceTimeoutMs: sessionTimeoutMs + between(random, 1, 4) * 1_000,
    brokerConfig: {
      'group.min.session.timeout.ms': 100,
      'group.initial.rebalance.delay.ms': pick(random, [0, 0, 300]),
      'group.consumer.session.timeout.ms': sessionTimeoutMs + 500,
      'group.consumer.heartbeat.interval.ms': heartbeatIntervalMs,
    },
    withSeeks: chance(random, 4),
    withSlowCallbacks: chance(random, 5),
  }
}

export function makeMemberPlan(plan: Plan, random: RandomSource): MemberPlan {
  const way = pick<Way>(random, ['record', 'record', 'record', 'batch', 'read', 'readBatch', 'iterate'])
  const isByKey = way === 'record' && chance(random, 3)
  const maxPollIntervalMs = plan.withSlowCallbacks ? plan.sessionTimeoutMs + 500 : 300_000
  const isStopping = chance(random, 2)
  const config: ConsumerConfig = {
    groupId: 'g',
    groupProtocol: plan.protocol,
    assignors: plan.assignors,
    autoOffsetReset: 'earliest',
    autoCommitIntervalMs: pick(random, [20, 100, 500, 5_000]),
    sessionTimeoutMs: plan.sessionTimeoutMs,
    heartbeatIntervalMs: plan.heartbeatIntervalMs,
    rebalanceTimeoutMs: plan.rebalanceTimeoutMs,
    maxPollIntervalMs,
    maxPollRecords: pick(random, [1, 3, 20, 500]),
    fetchMaxWaitMs: pick(random, [20, 100, 500]),
    prefetchBytes: pick(random, [3_000, 20_000, 1_000_000]),
    maxPartitionFetchBytes: pick(random, [300, 2_000]),
    concurrency: between(random, 1, 4),
    concurrencyBy: isByKey ? 'key' : 'partition',
    onError: isStopping ? 'retry' : 'skip',
    errorRetries: 5,
    errorFinal: 'skip',
    metadataMaxAgeMs: 1_000,
    closeTimeoutMs: pick(random, [0, 1_000, 10_000]),
    readMode: pick(random, ['safe', 'zeroCopy']),
    connection: { retryBackoffMs: 20, retryBackoffMaxMs: 400, readTimeoutMs: 1_500, dialTimeoutMs: 1_000 },
  }
  const all = [...plan.topics.keys()]
  return {
    way,
    config,
    isByKey,
    topics: chance(random, 4) ? [pick(random, all)] : all,
    callbackMs: pick(random, [0, 0, 2, 10, 40]),
    failsOneIn: pick(random, [0, 0, 7, 40]),
    hangsOneIn: plan.withSlowCallbacks ? 150 : 0,
  }
}
