/**
 * Members of one KIP-848 group under random orders of everything: answers late, lost, refused; callbacks slow; metadata
 * late; topics growing; members coming, leaving, dying. What must hold at every instant: nobody reads what the
 * coordinator has not assigned to him, and no partition has two readers. What must hold in the end: everything is read.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { FakeClock, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import { answer, type Beat, Kip848Coordinator } from './kip848-coordinator.js'
import { type HeldBeat, Ledger, type Rig, rigOf, topicInfo, turn } from './kip848-support.js'

const STEPS = 150
const REBALANCE_MS = 6_000

class Simulation {
  readonly clock = new FakeClock()
  readonly coordinator = new Kip848Coordinator(this.clock)
  readonly ledger = new Ledger()
  readonly random: RandomSource
  readonly errors: string[] = []
  readonly rigs: Rig[] = []
  readonly #gone = new Set<Rig>()
  readonly #dropped = new Set<string>()
  readonly #arrivals = new Map<Rig, number>()
  #isCalm = false

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.coordinator.intervalMs = 1_000
    this.coordinator.addTopic('t', 4)
    this.coordinator.addTopic('u', 2)
  }

  chance(percent: number): boolean {
    return !this.#isCalm && randomInt(this.random, 100) < percent
  }

  join(): Rig {
    const name = `m${this.rigs.length}`
    const config = { rebalanceTimeoutMs: REBALANCE_MS, sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 }
    const rig = rigOf(this.clock, config, name, this.ledger, randomInt(this.random, 1e9))
    rig.cluster.onBeat = (body, held) => this.#deliver(rig, body, held)
    this.#metadata(rig)
    if (this.chance(50)) rig.host.subscription = ['t', 'u']
    rig.host.revokeMs = [0, 0, 500, 3_000, 9_000][randomInt(this.random, 5)] as number
    rig.host.assignMs = [0, 0, 700][randomInt(this.random, 3)] as number
    this.#watch(rig)
    this.rigs.push(rig)
    rig.member.start()
    return rig
  }

  get living(): Rig[] {
    return this.rigs.filter((rig) => !this.#gone.has(rig))
  }

  async close(rig: Rig): Promise<void> {
    this.#gone.add(rig)
    rig.host.giveBack()
    void rig.member.close(this.clock.monotonicMs() + 4_000)
  }

  /** Its process is stopped: nothing of it is read and nothing is said any more. */
  kill(rig: Rig): void {
    this.#gone.add(rig)
    rig.host.giveBack()
    rig.cluster.onBeat = () => {}
    rig.host.assign = async () => {}
  }

  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left))
      await turn(this.clock)
      this.#check()
    }
  }

  async calm(): Promise<void> {
    this.#isCalm = true
    for (const rig of this.living) {
      rig.host.revokeMs = 0
      rig.host.assignMs = 0
      this.#metadata(rig)
      for (const [name, { partitions, topicId }] of this.coordinator.topics)
        rig.cluster.learn(name, partitions, topicId)
    }
    await this.advance(60_000) // Sessions of the dead end.
  }

  /** Everything that is subscribed to is read, by somebody who may. */
  unread(): string[] {
    const wanted = new Set(this.living.flatMap(({ host }) => host.subscription))
    return [...this.coordinator.topics].flatMap(([name, { partitions }]) =>
      Array.from({ length: wanted.has(name) ? partitions : 0 }, (_, partition) => `${name}/${partition}`).filter(
        (key) => !this.living.some(({ host }) => host.held.has(key)),
      ),
    )
  }

  /** One connection is worked through in order, so nothing overtakes what left before. */
  #deliver(rig: Rig, body: Beat, held: HeldBeat): void {
    this.#checkList(rig, body)
    const nowMs = this.clock.monotonicMs()
    const delayMs = this.chance(20) ? randomInt(this.random, 1_500) + 1 : 1
    if (this.chance(8)) return void this.clock.setTimer(held.cut, delayMs) // Never arrived.
    const arrivesMs = Math.max(nowMs + delayMs, this.#arrivals.get(rig) ?? 0)
    this.#arrivals.set(rig, arrivesMs)
    this.clock.setTimer(() => {
      const refusal = this.chance(6) ? [14, 15, 16][randomInt(this.random, 3)] : undefined
      const reply = refusal === undefined ? this.coordinator.beat(body) : answer(refusal)
      const backMs = this.chance(20) ? randomInt(this.random, 1_500) + 1 : 1
      this.clock.setTimer(this.chance(8) ? held.cut : () => held.answer(reply), backMs)
    }, arrivesMs - nowMs)
  }

  /** What a heartbeat says it owns is what its host reads, neither more nor less, but for what that dropped by itself. */
  #checkList(rig: Rig, body: Beat): void {
    if (body.topicPartitions === null || body.topicPartitions === undefined || this.#gone.has(rig)) return
    const listed = body.topicPartitions.flatMap(({ topicId, partitions }) =>
      partitions.map((partition) => `${topicId.slice(3)}/${partition}`),
    )
    const held = [...rig.host.held].sort()
    const known = listed.filter((key) => held.includes(key) || !this.#dropped.has(`${this.rigs.indexOf(rig)} ${key}`))
    if (known.sort().join() !== held.join()) this.errors.push(`says it owns ${listed}, and reads ${held}`)
  }

  /** Before a host is told to read: the coordinator has given it to this member and to nobody else. */
  #watch(rig: Rig): void {
    const { host } = rig
    const assign = host.assign.bind(host)
    host.assign = (partitions) => {
      for (const { topic, partition } of partitions) {
        const holder = this.coordinator.holders.get(`id-${topic}/${partition}`)
        const memberId = rig.cluster.last.body.memberId
        if (holder !== memberId) this.errors.push(`${topic}/${partition} is assigned, but belongs to ${holder}`)
      }
      return assign(partitions)
    }
  }

  #metadata(rig: Rig): void {
    for (const [name, { partitions, topicId }] of this.coordinator.topics) {
      if (this.chance(30)) continue
      const known = this.chance(20) ? Math.max(1, partitions - 1) : partitions
      if (this.chance(50)) rig.cluster.news.set(name, topicInfo(name, known, topicId))
      else rig.cluster.learn(name, known, topicId)
    }
  }

  step(): void {
    const rig = this.living[randomInt(this.random, Math.max(1, this.living.length))]
    const dice = randomInt(this.random, 100)
    if (this.living.length < 2 || (dice < 4 && this.living.length < 5)) this.join()
    else if (rig === undefined) return
    else if (dice < 7) void this.close(rig)
    else if (dice < 9) this.kill(rig)
    else if (dice < 12) {
      rig.member.abandon(new MQError('REBALANCE_IN_PROGRESS', 'stuck', { reason: 'POLL_INTERVAL' }))
      rig.member.start()
    } else if (dice < 18) {
      rig.host.subscription = rig.host.subscription.length > 1 ? ['t'] : ['t', 'u']
      if (this.chance(50)) for (const key of rig.host.held) if (key.startsWith('u')) this.#dropOne(rig, key)
      rig.member.topicsChanged()
    } else if (dice < 20) {
      const { partitions = 4 } = this.coordinator.topics.get('t') ?? {}
      if (partitions < 9) this.coordinator.addTopic('t', partitions + 1)
    } else if (dice < 30) this.#metadata(rig)
  }

  /** The host may drop what it is not subscribed to any more before it tells the member. */
  #dropOne(rig: Rig, key: string): void {
    rig.host.held.delete(key)
    this.#dropped.add(`${this.rigs.indexOf(rig)} ${key}`)
    this.ledger.drop(key, `m${this.rigs.indexOf(rig)}`)
  }

  #check(): void {
    const found = [...this.errors, ...this.ledger.errors]
    for (const { host } of this.rigs) found.push(...host.failures.map(({ message }) => `gave up: ${message}`))
    if (found.length > 0) throw new Error(found[0])
  }
}

async function play(seed: number): Promise<void> {
  const simulation = new Simulation(seed)
  try {
    for (let step = 0; step < STEPS; step++) {
      simulation.step()
      await simulation.advance(50 + randomInt(simulation.random, 10) * 50)
    }
    if (simulation.living.length === 0) simulation.join()
    await simulation.calm()
    expect(simulation.unread()).toEqual([])
    for (const { member } of simulation.living) expect(member.state).toBe('stable')
  } catch (error) {
    throw new Error(
      `seed ${seed}: ${(error as Error).message}\nreplay: SEED=${seed} npx vitest run test/consumer/group/kip848.property.test.ts`,
      { cause: error },
    )
  }
}

describe('C-27, C-28, C-29, C-40', () => {
  it('nobody reads what was not assigned to him, no partition has two readers, and in the end everything is read', async () => {
    const { SEED } = process.env
    if (SEED !== undefined) return play(Number(SEED))
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), play), { numRuns: 25, endOnFailure: true })
  }, 60_000)
})
