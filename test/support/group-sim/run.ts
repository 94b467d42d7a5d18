/**
 * One life of a group under chaos, and what must be true at each moment and in the end (kafka.md 8, checkers).
 *
 *   join -> chaos for a while -> peace: every record is processed and committed, nothing is lost any more -> all close
 *
 * Why in one process and virtual time: thousands of such lives a minute, and the same one again from its seed.
 */
import { type Broker, createBroker, type FaultHandle } from '../../../lib/broker/index.js'
import { OffsetStore } from '../../../lib/broker/offset-store.js'
import { seededRandom } from '../../../lib/util/index.js'
import { makeBatch } from '../../broker/batches.js'
import { act, type Stage } from './chaos.js'
import { Ledger } from './ledger.js'
import { SimMember } from './member.js'
import { Network } from './network.js'
import { between, chance, makeMemberPlan, makePlan, type Plan, type Protocol, pick } from './plan.js'
import { type SimProcess, World } from './world.js'

/** Virtual limits. Milliseconds. */
const PEACE_MS = 120_000
const CLOSE_MS = 60_000
const CALM_MS = 8_000
/** So long may it take until a member that is out is told so. */
const LEARN_MS = 2_000
const WRITE_EVERY_MS = 100
const STORY_LINES = Number(process.env.STORY ?? 60)

export interface Outcome {
  readonly problems: readonly string[]
  readonly steps: number
  readonly virtualMs: number
  readonly records: number
  readonly repeats: number
  readonly story: string
}

export async function liveOnce(seed: number, protocol: Protocol): Promise<Outcome> {
  return new Run(seed, protocol).play()
}

class Run implements Stage {
  readonly world = new World()
  readonly random
  readonly plan: Plan
  readonly ledger: Ledger
  readonly conductor: SimProcess
  readonly members: SimMember[] = []
  readonly faults: FaultHandle[] = []
  broker!: Broker
  readonly #network: Network
  readonly #brokerProcess: SimProcess
  readonly #topics: Map<string, number>
  readonly #silent: SimMember[] = []
  readonly #down = new Set<number>()
  #count = 0
  #isPeace = false
  #records = 0

  constructor(seed: number, protocol: Protocol) {
    this.random = seededRandom(seed * 2 + (protocol === 'classic' ? 0 : 1))
    this.plan = makePlan(seed, protocol, this.random)
    this.ledger = new Ledger(this.world)
    this.conductor = this.world.process('conductor')
    this.#brokerProcess = this.world.process('broker')
    this.#network = new Network(this.world, this.#brokerProcess, seededRandom(seed + 1_000_003))
    this.#topics = new Map(this.plan.topics)
  }

  async play(): Promise<Outcome> {
    const unhandled = (reason: unknown) =>
      this.world.blame(`unhandled rejection: ${reason instanceof Error ? reason.stack : reason}`)
    process.on('unhandledRejection', unhandled)
    const restore = this.#watchCommits()
    try {
      await this.#scenes()
    } finally {
      restore()
      process.off('unhandledRejection', unhandled)
    }
    const { problems, steps, nowMs } = this.world
    const story =
      problems.length === 0
        ? ''
        : `${JSON.stringify({ ...this.plan, topics: [...this.plan.topics] })}\n${this.world.story(STORY_LINES)}`
    return { problems, steps, virtualMs: nowMs, records: this.#records, repeats: this.ledger.repeats, story }
  }

  async #scenes(): Promise<void> {
    const { world, plan, random } = this
    this.broker = await createBroker({
      nodes: plan.nodes,
      config: plan.brokerConfig,
      clock: this.#brokerProcess,
      random: seededRandom(plan.seed + 17),
    })
    for (const [topic, partitions] of plan.topics) {
      this.broker.createTopic(topic, { partitions, replicationFactor: plan.nodes })
      for (let partition = 0; partition < partitions; partition++) {
        this.ledger.know(`${topic}/${partition}`)
        if (plan.recordsBefore > 0) this.write(topic, partition, plan.recordsBefore)
      }
    }
    for (let index = 0; index < plan.members; index++) this.join()
    this.#keepWriting()
    for (let index = 0; index < plan.events; index++) {
      this.conductor.setTimer(() => this.#act(), between(random, 300, plan.chaosMs))
    }
    if (plan.hasBrokerTrouble) this.#hurtBrokers()
    await world.pass(plan.chaosMs)
    if (world.problems.length === 0) await this.#peace()
    if (world.problems.length === 0) await this.#end()
    await this.#sweep()
  }

  #act(): void {
    if (!this.#isPeace) act(this)
  }

  /** From here on nothing goes wrong any more, and all must become well. */
  async #peace(): Promise<void> {
    const { world } = this
    this.#isPeace = true
    world.tell('== peace')
    for (const handle of this.faults) handle.remove()
    for (const brokerId of this.#down) await this.#restart(brokerId)
    for (const member of this.members) {
      member.hasPeace = true
      if (member.life === 'dead') continue
      if (member.process.isFrozen) {
        member.process.thaw('io')
        member.excuse(this.plan.sessionTimeoutMs + 2_000)
      }
      this.#reach(member)
    }
    this.join([...this.plan.topics.keys()])
    const isWell = await world.until(() => this.#isWell, PEACE_MS)
    if (!isWell)
      world.blame(`not well ${PEACE_MS} ms after all trouble had ended: ${this.ledger.open()}\n${this.#states()}`)
    if (!isWell) return
    const before = this.#changes()
    await world.pass(CALM_MS)
    if (world.problems.length > 0) return
    if (this.#changes() !== before) world.blame('the group does not come to rest')
    if (!this.ledger.isAllOwnedOnce) world.blame(`not all is owned: ${this.ledger.open()}`)
    if (this.broker.group('g').state !== 'Stable') world.blame(`the group is ${this.broker.group('g').state}`)
  }

  async #end(): Promise<void> {
    const { world } = this
    const alive = this.members.filter(({ life }) => life === 'running')
    for (const member of alive) this.close(member)
    const isClosed = await world.until(
      () => this.members.every(({ life }) => life === 'closed' || life === 'dead'),
      CLOSE_MS,
    )
    if (!isClosed)
      world.blame(
        `not closed within ${CLOSE_MS} ms: ${this.members.filter(({ life }) => life === 'closing').map(({ name }) => name)}`,
      )
    await world.pass(200)
    if (world.problems.length === 0 && !this.plan.isStatic) {
      const { state, members } = this.broker.group('g')
      if (state !== 'Empty')
        world.blame(`all have left, but the group is ${state}: ${members.map(({ clientId }) => clientId)}`)
    }
  }

  get #isWell(): boolean {
    const { isAllProcessed, isAllCommitted, isAllOwnedOnce } = this.ledger
    if (!isAllProcessed || !isAllCommitted || !isAllOwnedOnce || this.broker.group('g').state !== 'Stable') return false
    return this.members.every((member) => member.isSettled)
  }

  /** What is left of the world is let go, whatever came of it. */
  async #sweep(): Promise<void> {
    const { world } = this
    const closing = this.broker.close()
    let isOver = false
    void closing.then(() => {
      isOver = true
    })
    for (const member of this.members) if (member.life !== 'closed') member.process.die()
    if (world.problems.length === 0) await world.until(() => isOver, 1_000)
  }

  #changes(): number {
    return this.broker.count({ api: 'JoinGroup' }) + this.members.reduce((sum, member) => sum + member.losses, 0)
  }

  #states(): string {
    const rows = this.members
      .filter(({ life }) => life !== 'closed' && life !== 'dead')
      .map((member) => {
        const { groupState, generation, failedPartitions, prefetchBytes, runningCallbacks } =
          member.consumer.getMetrics()
        const facts = { life: member.life, groupState, generation, failedPartitions, prefetchBytes, runningCallbacks }
        return `${member.name} ${[...member.subscribed]} ${member.plan.way} ${JSON.stringify(facts)} ${this.ledger.keysOf(member)}`
      })
    const { state, generation, members } = this.broker.group('g')
    return [
      ...rows,
      `group ${state} ${generation}: ${members.map(({ clientId, epoch }) => `${clientId}@${epoch}`)}`,
    ].join('\n')
  }

  // --- the stage ---

  join(topics?: readonly string[]): void {
    const { plan, random } = this
    const living = this.members.filter(({ life }) => life === 'running')
    if (living.length >= 7 && topics === undefined) return
    const memberPlan = makeMemberPlan(plan, random)
    const name = `m${this.#count++}`
    const member = new SimMember({
      name,
      world: this.world,
      network: this.#network,
      ledger: this.ledger,
      plan: memberPlan,
      bootstrap: this.broker.bootstrap,
      random: seededRandom(plan.seed * 1_000 + this.#count),
      instanceId: plan.isStatic ? this.#instanceId() : null,
    })
    if (topics !== undefined) member.hasPeace = true
    const wanted = topics ?? memberPlan.topics
    this.world.tell(
      `${name} (${memberPlan.way}${memberPlan.isByKey ? ' by key' : ''}${member.instanceId === null ? '' : ` as ${member.instanceId}`}) subscribes ${wanted}`,
    )
    this.members.push(member)
    void member.subscribe(wanted)
  }

  /** That of somebody who is gone, or a new one. */
  #instanceId(): string {
    const taken = new Set(
      this.members.filter(({ life }) => life !== 'closed' && life !== 'dead').map(({ instanceId }) => instanceId),
    )
    // Under KIP-848 an id is free when its last holder has said that it goes, or its session is over (else 111, fatal).
    const present =
      this.plan.protocol === 'classic' ? [] : this.broker.group('g').members.filter(({ epoch }) => epoch !== -2)
    for (const { instanceId } of present) taken.add(instanceId)
    const free = this.members
      .map(({ instanceId }) => instanceId)
      .filter((id): id is string => id !== null && !taken.has(id))
    return free.length > 0 && !chance(this.random, 4) ? pick(this.random, free) : `i${this.#count}`
  }

  close(member: SimMember): void {
    void member.close()
  }

  kill(member: SimMember, isSilent: boolean): void {
    if (isSilent) this.#silent.push(member)
    member.die(isSilent)
  }

  cut(member: SimMember, ms: number): void {
    this.world.tell(`-- ${member.name} is cut off for ${ms} ms`)
    this.#network.cut(member.process)
    member.isOutOfReach = true
    this.conductor.setTimer(() => {
      if (this.#silent.includes(member)) return
      this.world.tell(`-- ${member.name} is reached again`)
      this.#reach(member)
    }, ms)
  }

  #reach(member: SimMember): void {
    if (!member.isOutOfReach) return
    if (member.isExcused()) member.excuse(LEARN_MS)
    member.isOutOfReach = false
    this.#network.heal(member.process)
  }

  write(topic: string, partition: number, count: number): void {
    const key = `${topic}/${partition}`
    if (this.broker.log(topic, partition).leader < 0) return
    const from = this.ledger.writtenOf(key)
    const offsets = Array.from({ length: count }, (_, index) => from + index)
    const values = offsets.map((offset) => `${key}@${offset}`)
    const keys = offsets.map(() => `k${between(this.random, 0, 5)}`)
    this.broker.appendRaw({ topic, partition }, makeBatch({ values, keys }))
    this.ledger.wrote(key, count)
    this.#records += count
  }

  grow(topic: string, by: number): void {
    const count = (this.#topics.get(topic) as number) + by
    this.world.tell(`-- ${topic} grows to ${count}`)
    this.#topics.set(topic, count)
    this.broker.addPartitions(topic, count)
    for (let partition = count - by; partition < count; partition++) this.ledger.know(`${topic}/${partition}`)
  }

  #keepWriting(): void {
    this.conductor.setTimer(() => {
      if (this.#isPeace) return
      for (const [topic, partitions] of this.#topics) {
        this.write(topic, between(this.random, 0, partitions - 1), between(this.random, 1, 8))
      }
      this.#keepWriting()
    }, WRITE_EVERY_MS)
  }

  /** One broker at a time goes, in the one or the other way, and comes back. */
  #hurtBrokers(): void {
    const { random, plan, world } = this
    for (let atMs = between(random, 500, 6_000); atMs < plan.chaosMs; atMs += between(random, 3_000, 9_000)) {
      const brokerId = between(random, 1, plan.nodes)
      const ms = between(random, 50, 2_500)
      const way = pick(random, ['kill', 'stop', 'pause'] as const)
      this.conductor.setTimer(() => {
        if (this.#isPeace || this.#down.size > 0) return
        world.tell(`-- broker ${brokerId}: ${way} for ${ms} ms`)
        this.#down.add(brokerId)
        if (way === 'pause') this.broker.pause(brokerId)
        else void this.broker[way](brokerId)
        this.conductor.setTimer(() => void this.#restart(brokerId), ms)
      }, atMs)
    }
  }

  async #restart(brokerId: number): Promise<void> {
    if (!this.#down.delete(brokerId)) return
    this.world.tell(`-- broker ${brokerId} is back`)
    this.broker.resume(brokerId)
    await this.broker.start(brokerId)
  }

  /** The broker's own store is the one witness of commits. */
  #watchCommits(): () => void {
    const original = OffsetStore.prototype.commit
    const { ledger } = this
    OffsetStore.prototype.commit = function commit(groupId, topic, partition, committed) {
      original.call(this, groupId, topic, partition, committed)
      ledger.stored(`${topic}/${partition}`, committed.offset)
    }
    return () => {
      OffsetStore.prototype.commit = original
    }
  }
}
