/**
 * C-27, C-40: no partition is ever read by two members, whatever the order of joins, heartbeats, slow revocations, lost
 * answers, deaths, and topics that grow; and when things calm down every partition has one owner.
 * The members are models: they read what they were given from the moment they hear of it, until they tell that they let go.
 */
import { describe, expect, it } from 'vitest'
import { ConsumerGroup } from '../../lib/broker/groups/kip848/group.js'
import { type BeatRequest, beat } from '../../lib/broker/groups/kip848/heartbeat.js'
import { partitionKey } from '../../lib/broker/groups/partition-key.js'
import { BrokerConfig } from '../../lib/broker/topic-config.js'
import { Topics } from '../../lib/broker/topics.js'
import { FakeClock, randomInt, seededRandom } from '../../lib/util/index.js'

const SESSION_MS = 1000
const REBALANCE_MS = 300
const STEPS = 400
const NAMES = ['orders', 'invoices']
const NOTHING: ReadonlySet<string> = new Set()

/** A member as a client sees it. */
interface Model {
  readonly memberId: string
  readonly request: BeatRequest
  epoch: number
  /** Partitions it reads. */
  reads: ReadonlySet<string>
  /** What it shall have; to get there it first has to let go. */
  wants: ReadonlySet<string>
  lastSeenMs: number
}

class World {
  readonly clock = new FakeClock()
  readonly topics: Topics
  readonly group: ConsumerGroup
  readonly models = new Map<string, Model>()
  readonly random: ReturnType<typeof seededRandom>
  readonly story: string[] = []
  #born = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.topics = new Topics([1], () => true, new BrokerConfig({}, {}, 'full'), this.random)
    for (const name of NAMES) this.topics.create(name, { partitions: 1 + this.pick(6) })
    const sessionTimeoutMs = () => SESSION_MS
    const { clock, topics } = this
    this.group = new ConsumerGroup({ groupId: 'g', clock, topics, sessionTimeoutMs, onChange: () => {} })
  }

  pick(below: number): number {
    return randomInt(this.random, below)
  }

  oneOf<T>(items: readonly T[]): T | undefined {
    return items[this.pick(Math.max(1, items.length))]
  }

  join(): void {
    const memberId = `m${this.#born++}`
    const topics = this.oneOf([NAMES, NAMES, NAMES.slice(0, 1), NAMES.slice(1)]) as readonly string[]
    const assignor = this.oneOf([null, null, 'uniform', 'range']) ?? null
    const from = { clientId: 'c', clientHost: '/h', rackId: null, instanceId: null }
    const request = { memberId, epoch: 0, ...from, rebalanceTimeoutMs: REBALANCE_MS, topics, pattern: null, assignor }
    const model: Model = {
      memberId,
      request: { ...request, owned: NOTHING },
      epoch: 0,
      reads: NOTHING,
      wants: NOTHING,
      lastSeenMs: this.clock.now(),
    }
    this.models.set(memberId, model)
    this.send(model, true, false)
  }

  /** A heartbeat; `lost`: the answer never arrives. Lets go of what it has to before it tells what it owns. */
  send(model: Model, tellsOwned: boolean, lost: boolean): void {
    if (tellsOwned) model.reads = new Set([...model.reads].filter((key) => model.wants.has(key)))
    const told = tellsOwned ? model.reads : null
    const isJoin = model.epoch === 0
    const unsaid = { topics: null, pattern: null, assignor: null, rebalanceTimeoutMs: -1 }
    const request = { ...model.request, ...(isJoin ? {} : unsaid), epoch: model.epoch, owned: isJoin ? NOTHING : told }
    const answer = beat(this.group, request, 1000)
    this.story.push(`${model.memberId} ${model.epoch} ${told === null ? '-' : [...told].length} -> ${answer.errorCode}`)
    if (answer.errorCode === 0) model.lastSeenMs = this.clock.now()
    if (lost) return
    if (answer.errorCode !== 0) {
      model.reads = NOTHING // lost: it rejoins from nothing
      model.wants = NOTHING
      model.epoch = 0
      if (answer.errorCode === 110) this.models.delete(model.memberId) // and leaves its old self to its session
      return
    }
    model.epoch = answer.epoch
    if (answer.assignment === null) return
    model.wants = answer.assignment
    const isGrowing = [...model.reads].every((key) => model.wants.has(key))
    if (isGrowing) model.reads = model.wants
  }

  step(): void {
    const model = this.oneOf([...this.models.values()])
    const what = this.pick(20)
    if (this.models.size < 2 || (what === 0 && this.models.size < 7)) this.join()
    else if (model === undefined) return
    else if (what === 1) this.leave(model)
    else if (what === 2) this.die(model)
    else if (what === 3) this.grow()
    else if (what === 4) this.group.rotate()
    else this.send(model, what > 9, what === 5)
    this.pass(this.pick(40))
  }

  leave(model: Model): void {
    model.reads = NOTHING
    this.models.delete(model.memberId)
    beat(this.group, { ...model.request, epoch: -1, owned: null }, 1000)
  }

  /** Stops without a word; what it read is free when its session is over, not sooner. */
  die(model: Model): void {
    model.reads = NOTHING
    this.models.delete(model.memberId)
  }

  grow(): void {
    const topic = this.topics.byName(this.oneOf(NAMES) ?? '')
    if (topic !== undefined && topic.partitions.length < 12) {
      this.topics.addPartitions(topic.name, topic.partitions.length + 1)
    }
  }

  /** A client stops reading when it was not heard for a session: its broker has put it out by then. */
  pass(ms: number): void {
    this.clock.advance(ms)
    for (const model of this.models.values()) {
      const isOut = this.group.member(model.memberId) === undefined
      if (isOut) this.send(model, true, false)
    }
  }

  readers(): Map<string, string[]> {
    const readers = new Map<string, string[]>()
    for (const { memberId, reads } of this.models.values()) {
      for (const key of reads) readers.set(key, [...(readers.get(key) ?? []), memberId])
    }
    return readers
  }

  /** Partitions that some present member subscribed to. */
  subscribed(): Set<string> {
    const names = new Set(this.group.members.flatMap(({ facts }) => facts.topics))
    const topics = [...names].flatMap((name) => this.topics.byName(name) ?? [])
    return new Set(topics.flatMap(({ topicId, partitions }) => partitions.map((_, at) => partitionKey(topicId, at))))
  }

  calm(): void {
    for (let round = 0; round < 60 && !(round > 10 && this.group.state === 'Stable'); round++) {
      for (const model of [...this.models.values()]) this.send(model, true, false)
      this.pass(100)
    }
  }
}

const { SEED } = process.env
const SEEDS = SEED === undefined ? Array.from({ length: 40 }, (_, seed) => seed) : [Number(SEED)]

describe('C-40: never two owners, in the end one', () => {
  it.each(SEEDS)('C-27: seed %i', (seed) => {
    const world = new World(seed)
    for (let step = 0; step < STEPS; step++) {
      world.step()
      for (const [key, readers] of world.readers()) {
        const where = () =>
          `seed ${seed}, step ${step}: ${key} read by ${readers}\n${world.story.slice(-12).join('\n')}`
        if (readers.length > 1) expect.fail(where())
      }
    }
    world.calm()
    expect(world.group.state).toBe('Stable')
    expect(new Set(world.readers().keys())).toEqual(world.subscribed())
    const loads = [...world.models.values()].map(({ memberId }) => world.group.member(memberId)?.progress.assigned.size)
    expect(loads.every((load) => load !== undefined)).toBe(true)
  })
})
