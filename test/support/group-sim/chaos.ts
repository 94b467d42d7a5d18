/**
 * Everything that may happen to a group, drawn from a seed: to its members, its brokers, its requests and its topics.
 * Why one list: a defect shows where two of them meet, so each must be able to meet every other.
 */
import { type Broker, type Fault, type FaultHandle, fault } from '../../../lib/broker/index.js'
import type { RandomSource } from '../../../lib/util/index.js'
import type { SimMember } from './member.js'
import { between, chance, type Plan, pick } from './plan.js'
import type { SimProcess, World } from './world.js'

/** What the chaos does through the run. */
export interface Stage {
  readonly world: World
  readonly plan: Plan
  readonly broker: Broker
  readonly random: RandomSource
  readonly conductor: SimProcess
  readonly members: readonly SimMember[]
  /** Ordered so far. */
  readonly faults: FaultHandle[]
  join(): void
  close(member: SimMember): void
  kill(member: SimMember, isSilent: boolean): void
  write(topic: string, partition: number, count: number): void
  grow(topic: string, by: number): void
  cut(member: SimMember, ms: number): void
}

type Act = (stage: Stage) => void

/** Codes that a broker may answer although all is well a moment later. */
const JOIN_CODES = [14, 15, 16, 25, 27]
const SYNC_CODES = [14, 15, 16, 22, 25, 27]
const BEAT_CODES = [14, 15, 16, 22, 25, 27]
const BEAT_848_CODES = [14, 15, 16, 25, 110]
const COMMIT_CODES = [14, 15, 16, 27, 22, 25, 7, 3, -1]
const COMMIT_848_CODES = [14, 15, 16, 113, 7, 3, -1]
const OFFSET_FETCH_CODES = [14, 15, 16]
const FIND_CODES = [14, 15]
const FETCH_CODES = [6, 74, 75, 9, -1, 7, 70, 71, 5, 3]
const LIST_CODES = [6, 74, 7, 3]

function apiOf({ plan, random }: Stage): readonly [string, readonly number[]] {
  const shared = [
    ['OffsetFetch', OFFSET_FETCH_CODES],
    ['FindCoordinator', FIND_CODES],
    ['Fetch', FETCH_CODES],
    ['ListOffsets', LIST_CODES],
    ['Metadata', []],
    ['ApiVersions', []],
  ] as const
  // "Unknown", or "fenced", said of a static member that is neither, makes its next join collide with itself (111): no broker says it.
  const beatCodes = plan.isStatic ? BEAT_848_CODES.filter((code) => code < 20) : BEAT_848_CODES
  const classic = [
    ['JoinGroup', JOIN_CODES],
    ['SyncGroup', SYNC_CODES],
    ['Heartbeat', BEAT_CODES],
    ['LeaveGroup', [14, 16]],
    ['OffsetCommit', COMMIT_CODES],
  ] as const
  const consumer = [
    ['ConsumerGroupHeartbeat', beatCodes],
    ['ConsumerGroupHeartbeat', beatCodes],
    ['OffsetCommit', COMMIT_848_CODES],
  ] as const
  return pick(random, [...shared, ...(plan.protocol === 'classic' ? classic : consumer)])
}

function faultOf(stage: Stage, codes: readonly number[]): readonly [string, Fault] {
  const { random } = stage
  const kinds = [
    'before',
    'after',
    'delay',
    'cut',
    'hole',
    'throttle',
    ...(codes.length > 0 ? ['code', 'code', 'lie'] : []),
  ]
  switch (pick(random, kinds)) {
    case 'before':
      return ['drop before', fault.drop('before')]
    case 'after':
      return ['drop after', fault.drop('after')]
    case 'delay': {
      const ms = pick(random, [5, 50, 300, 1_200])
      return [`delay ${ms}`, fault.delay(ms)]
    }
    case 'cut':
      return ['cut the answer', fault.disconnect({ afterBytes: between(random, 1, 30) })]
    case 'hole':
      return ['black hole', fault.blackhole()]
    case 'throttle':
      return ['throttle', fault.throttle(between(random, 10, 300))]
    case 'lie': {
      const code = pick(random, codes)
      return [`answer ${code} after the work`, fault.error(code, { when: 'after' })]
    }
    default: {
      const code = pick(random, codes)
      return [`answer ${code}`, fault.error(code)]
    }
  }
}

const running = ({ members }: Stage) => members.filter((member) => member.isRunning)

function some(stage: Stage, act: (member: SimMember) => void): void {
  const members = running(stage)
  if (members.length > 0) act(pick(stage.random, members))
}

function hurtRequests(stage: Stage): void {
  const { broker, random, world, members } = stage
  const [api, codes] = apiOf(stage)
  const [name, what] = faultOf(stage, codes)
  const times = between(random, 1, 3)
  const nth = between(random, 1, 4)
  const clientId = chance(random, 2) && members.length > 0 ? pick(random, members).name : undefined
  if (name === 'black hole')
    for (const member of members) member.mayBeUnheard ||= clientId === undefined || clientId === member.name
  world.tell(`-- ${api} ${nth}..${nth + times - 1}${clientId === undefined ? '' : ` of ${clientId}`}: ${name}`)
  stage.faults.push(broker.on({ api, nth, times, ...(clientId === undefined ? {} : { clientId }) }, what))
}

function stopOne(stage: Stage): void {
  const { plan, random, conductor, world } = stage
  some(stage, (member) => {
    const ms = chance(random, 2)
      ? between(random, 10, plan.sessionTimeoutMs / 2)
      : plan.sessionTimeoutMs + between(random, 0, 6_000)
    world.tell(`-- ${member.name} stands still for ${ms} ms`)
    member.process.freeze()
    conductor.setTimer(() => {
      if (member.life === 'dead') return
      world.tell(`-- ${member.name} goes on`)
      member.process.thaw(pick(random, ['io', 'timer']))
      member.excuse(plan.sessionTimeoutMs + 2_000)
    }, ms)
  })
}

function moveLeader({ broker, plan, random }: Stage): void {
  const topic = pick(random, [...plan.topics.keys()])
  const partition = between(random, 0, (plan.topics.get(topic) as number) - 1)
  const { isr, leader } = broker.log(topic, partition)
  const others = isr.filter((brokerId) => brokerId !== leader)
  if (leader >= 0 && others.length > 0) broker.moveLeader({ topic, partition }, pick(random, others))
}

function moveCoordinator({ broker, plan, world }: Stage): void {
  if (plan.nodes === 1) return
  const alive = broker.brokerIds.length
  if (alive < 2) return
  try {
    world.tell(`-- coordinator moves to ${broker.moveCoordinator('g')}`)
  } catch {
    // Nobody else is alive.
  }
}

function rebalance({ broker, world }: Stage): void {
  if (broker.group('g').state === 'Dead') return
  world.tell('-- rebalance')
  broker.rebalance('g')
}

function fence({ broker, plan, random, world, members }: Stage): void {
  const known = broker.group('g').members
  if (known.length === 0) return
  const { memberId, clientId } = pick(random, known)
  world.tell(`-- ${clientId} is fenced`)
  broker.fence('g', memberId)
  for (const member of members) if (member.name === clientId) member.excuse(plan.sessionTimeoutMs + 2_000)
}

function changeTopics(stage: Stage): void {
  const { plan, random } = stage
  some(stage, (member) => {
    const topic = pick(random, [...plan.topics.keys()])
    if (!member.subscribed.has(topic)) void member.subscribe([topic])
    else if (member.subscribed.size > 1 || chance(random, 3)) void member.unsubscribe(topic)
  })
}

const ACTS: readonly (readonly [number, Act])[] = [
  [12, hurtRequests],
  [3, (stage) => stage.join()],
  [2, (stage) => some(stage, (member) => stage.close(member))],
  [2, (stage) => some(stage, (member) => stage.kill(member, chance(stage.random, 3)))],
  [2, stopOne],
  [2, (stage) => some(stage, (member) => stage.cut(member, between(stage.random, 50, 7_000)))],
  [2, moveLeader],
  [2, moveCoordinator],
  [2, ({ broker }) => broker.evictSessions()],
  [2, rebalance],
  [1, fence],
  [1, (stage) => stage.grow(pick(stage.random, [...stage.plan.topics.keys()]), between(stage.random, 1, 2))],
  [2, changeTopics],
  [3, (stage) => some(stage, (member) => member.pauseSome(between(stage.random, 1, 2_000)))],
  [3, (stage) => stage.plan.withSeeks && some(stage, (member) => member.seekBack())],
  [1, ({ broker, random }) => broker.disconnect(chance(random, 2) ? undefined : pick(random, broker.brokerIds))],
]
const WEIGHT = ACTS.reduce((sum, [weight]) => sum + weight, 0)

/** One thing of all that may happen. */
export function act(stage: Stage): void {
  let at = between(stage.random, 0, WEIGHT - 1)
  for (const [weight, doIt] of ACTS) {
    at -= weight
    if (at < 0) return doIt(stage)
  }
}
