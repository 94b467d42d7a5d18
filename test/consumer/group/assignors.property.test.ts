import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignorOf, type GroupMember } from '../../../lib/consumer/group/assignors/index.js'
import { type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import {
  anyMembers,
  anyTopics,
  counter,
  faultsOf,
  isLevel,
  keptBy,
  LivingGroup,
  member,
  missingOf,
  nameOf,
  sizesOf,
} from './assignor-support.js'

const EAGER = ['range', 'roundrobin', 'sticky'] as const
const STICKY = ['sticky', 'cooperative-sticky'] as const
const runs = { numRuns: 300 }

describe('CO-10: every assignor', () => {
  it.each(EAGER)('%s gives each partition of a subscribed topic to exactly one subscriber', (name) => {
    const check = (members: GroupMember[], topics: Record<string, number>) => {
      const plan = assignorOf(name).assign(members, counter(topics))
      expect(faultsOf(members, topics, plan)).toEqual([])
      expect(missingOf(members, topics, plan)).toEqual([])
    }
    fc.assert(fc.property(anyMembers, anyTopics, check), runs)
  })

  it.each([...EAGER, 'cooperative-sticky'] as const)('%s does not depend on the order of the members', (name) => {
    const check = (members: GroupMember[], topics: Record<string, number>) => {
      const plan = (order: GroupMember[]) => Object.fromEntries(assignorOf(name).assign(order, counter(topics)))
      expect(plan([...members].reverse())).toEqual(plan(members))
    }
    fc.assert(fc.property(anyMembers, anyTopics, check), runs)
  })

  it('range and roundrobin differ by one at most: per topic, and in all with equal subscriptions', () => {
    const check = (count: number, topics: Record<string, number>) => {
      const members = Array.from({ length: count }, (_, index) => member(`m${index}`, Object.keys(topics)))
      const dealt = sizesOf(assignorOf('roundrobin').assign(members, counter(topics)))
      expect((dealt.at(-1) as number) - (dealt[0] as number)).toBeLessThanOrEqual(1)
      const cut = assignorOf('range').assign(members, counter(topics))
      for (const topic of Object.keys(topics)) {
        const sizes = [...cut.values()].map((mine) => mine.filter((tp) => tp.topic === topic).length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }
    }
    fc.assert(fc.property(fc.integer({ min: 1, max: 9 }), anyTopics, check), runs)
  })
})

describe('C-24: sticky assignors', () => {
  it('sticky is as level as any plan can be, whatever was claimed', () => {
    const check = (members: GroupMember[], topics: Record<string, number>) => {
      expect(isLevel(members, assignorOf('sticky').assign(members, counter(topics)))).toBe(true)
    }
    fc.assert(fc.property(anyMembers, anyTopics, check), runs)
  })

  it.each(STICKY)('%s moves nothing in a round without news', (name) => {
    const check = (members: GroupMember[], topics: Record<string, number>) => {
      const group = settled(name, members, topics)
      const before = group.members.map(({ owned }) => owned)
      expect(group.round()).toBe(false)
      expect(group.members.map(({ owned }) => owned)).toEqual(before)
    }
    fc.assert(fc.property(anyMembers, anyTopics, check), runs)
  })

  it('sticky moves the minimum when one member joins or leaves (equal subscriptions)', () => {
    const check = (count: number, topics: Record<string, number>, gone: number) => {
      const all = Object.keys(topics)
      const partitions = Object.values(topics).reduce((sum, one) => sum + one, 0)
      const start = Array.from({ length: count }, (_, index) => member(`m${index}`, all))
      const { members } = settled('sticky', start, topics)
      const more = [...members, member('new', all)]
      const grown = assignorOf('sticky').assign(more, counter(topics))
      expect(keptBy(more, grown)).toBe(partitions - (grown.get('new')?.length ?? 0))
      expect(grown.get('new')?.length).toBe(Math.floor(partitions / more.length))
      if (count === 1) return
      const fewer = members.filter((_, index) => index !== gone % count)
      const shrunk = assignorOf('sticky').assign(fewer, counter(topics))
      expect(keptBy(fewer, shrunk)).toBe(fewer.reduce((sum, { owned }) => sum + owned.length, 0))
    }
    fc.assert(fc.property(fc.integer({ min: 1, max: 8 }), anyTopics, fc.nat(), check), runs)
  })

  it('cooperative-sticky gives what nobody else claims, and nothing else', () => {
    const check = (members: GroupMember[], topics: Record<string, number>) => {
      const plan = assignorOf('cooperative-sticky').assign(members, counter(topics))
      expect(faultsOf(members, topics, plan)).toEqual([])
      for (const one of members) {
        const newer = members.filter((other) => other !== one && other.generation >= one.generation)
        const mine = new Set(one.owned.map(nameOf))
        const disputed = new Set(newer.flatMap(({ owned }) => owned.map(nameOf)))
        const theirs = new Set(members.filter((other) => other !== one).flatMap(({ owned }) => owned.map(nameOf)))
        for (const name of (plan.get(one.memberId) ?? []).map(nameOf)) {
          expect(mine.has(name) ? disputed.has(name) : theirs.has(name), `${name} to ${one.memberId}`).toBe(false)
        }
      }
      const claimed = new Set(members.flatMap(({ owned }) => owned.map(nameOf)))
      expect(missingOf(members, topics, plan).filter((name) => !claimed.has(name))).toEqual([])
    }
    fc.assert(fc.property(anyMembers, anyTopics, check), runs)
  })

  it('C-40: cooperative-sticky never has two owners, and is level after two rounds', () => {
    fc.assert(fc.property(anyTopics, fc.array(anyEvent, { maxLength: 12 }), liveThrough), runs)
  })
})

describe('C-24: rounds of a cooperative group', () => {
  it('two are enough, also with different subscriptions', () => {
    // Dense groups, where plans need chains: what fast-check makes up is mostly too sparse for them.
    const seed = Number(process.env.SEED ?? 7)
    const random = seededRandom(seed)
    for (let index = 0; index < 300; index++) {
      const group = denseGroup(random)
      for (let event = 0; event < 6; event++) {
        disturb(group, random, `${index}-${event}`)
        group.round()
        expect(group.round(), `seed ${seed}, group ${index}, event ${event}: a third round`).toBe(false)
      }
    }
  })
})

function denseGroup(random: RandomSource): LivingGroup {
  const topics = ['a', 'b', 'c', 'd', 'e', 'f'].slice(0, 1 + randomInt(random, 6))
  const counts = Object.fromEntries(topics.map((topic) => [topic, 1 + randomInt(random, 11)]))
  return new LivingGroup(assignorOf('cooperative-sticky'), counts)
}

function disturb(group: LivingGroup, random: RandomSource, name: string): void {
  const what = group.members.length < 3 ? 0 : randomInt(random, 4)
  const at = randomInt(random, group.members.length || 1)
  if (what <= 1)
    for (let i = randomInt(random, 3); i >= 0; i--) group.members.push(member(`m${name}-${i}`, some(group, random)))
  else if (what === 2) group.members.splice(at, 1)
  else group.members[at] = { ...(group.members[at] as GroupMember), topics: some(group, random) }
}

function some(group: LivingGroup, random: RandomSource): string[] {
  return Object.keys(group.topics).filter((topic) => topic === 'a' || random.next() < 0.5)
}

/** A group in which all have joined and nothing is left to move. */
function settled(name: (typeof STICKY)[number], start: readonly GroupMember[], topics: Record<string, number>) {
  const group = new LivingGroup(assignorOf(name), topics)
  group.members = start.map((one) => ({ ...one, owned: [], generation: -1 }))
  group.round()
  return group
}

type Event =
  | { kind: 'join'; topics: string[] }
  | { kind: 'leave' | 'sleep' | 'subscribe'; who: number; topics: string[] }
  | { kind: 'grow'; topics: string[] }

const anyEvent: fc.Arbitrary<Event> = fc.record({
  kind: fc.constantFrom('join', 'join', 'leave', 'sleep', 'subscribe', 'grow'),
  who: fc.nat(),
  topics: fc.subarray(['a', 'b', 'c', 'd'], { minLength: 1 }),
}) as fc.Arbitrary<Event>

/** After each event one round with whoever hears of it; then rounds until nobody lost anything: two at most. */
function liveThrough(topics: Record<string, number>, events: readonly Event[]): void {
  const group = new LivingGroup(assignorOf('cooperative-sticky'), topics)
  for (const [index, event] of events.entries()) {
    group.round(happens(group, event, index))
    if (index % 2 === 0) continue // the next event comes before the group has found its rest
    const rounds = [group.round(), group.round()]
    expect(rounds[1], 'somebody lost partitions in the second round').toBe(false)
    const plan = new Map(group.members.map(({ memberId, owned }) => [memberId, owned]))
    expect(missingOf(group.members, group.topics, plan)).toEqual([])
    expect(isLevel(group.members, plan)).toBe(true)
  }
}

/** Returns the ids of those that miss the round. */
function happens(group: LivingGroup, event: Event, index: number): Set<string> {
  const at = 'who' in event && group.members.length > 0 ? event.who % group.members.length : -1
  const who = group.members[at]
  if (event.kind === 'join') group.members.push(member(`m${index}`, event.topics))
  if (event.kind === 'leave') group.members = group.members.filter((other) => other !== who)
  if (event.kind === 'grow') for (const topic of event.topics) group.topics[topic] = (group.topics[topic] ?? 0) + 2
  if (event.kind === 'subscribe' && who !== undefined) group.members[at] = { ...who, topics: event.topics }
  return new Set(event.kind === 'sleep' && who !== undefined ? [who.memberId] : [])
}
