/**
 * One member of a simulated group: a whole `Consumer` in a process of its own, and the program that uses it.
 * Why it writes down everything: the ledger judges by what a user would see, events and calls, and by nothing else.
 */
import { Cluster, clusterOptionsOf } from '../../../lib/cluster/index.js'
import { resolveConsumerConfig } from '../../../lib/config/index.js'
import { Consumer, type TopicPartition } from '../../../lib/consumer/index.js'
import { MQError } from '../../../lib/errors/index.js'
import { type RandomSource, randomInt, silentLogger } from '../../../lib/util/index.js'
import type { Known, Ledger } from './ledger.js'
import type { Network } from './network.js'
import { between, chance, type MemberPlan, pick } from './plan.js'
import type { SimProcess, World } from './world.js'

interface Got {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: unknown
  readonly value: unknown
}

export interface MemberParts {
  readonly name: string
  readonly world: World
  readonly network: Network
  readonly ledger: Ledger
  readonly plan: MemberPlan
  readonly bootstrap: string
  readonly random: RandomSource
  readonly instanceId: string | null
}

export type Life = 'running' | 'closing' | 'closed' | 'dead'

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`
const textOf = (partitions: readonly TopicPartition[]): string => partitions.map(keyOf).sort().join(' ')

export class SimMember implements Known {
  readonly name: string
  readonly isByKey: boolean
  readonly process: SimProcess
  readonly consumer: Consumer
  readonly plan: MemberPlan
  readonly instanceId: string | null
  life: Life = 'running'
  /** From here on nobody stops, cuts or hangs it any more. */
  hasPeace = false
  losses = 0
  /** Messages to it and from it may be held back. */
  isOutOfReach = false
  /** One of its connections may lead into a black hole. */
  mayBeUnheard = false
  readonly subscribed = new Set<string>()
  readonly #parts: MemberParts
  readonly #cluster: Cluster
  readonly #failures = new Map<string, number>() // commits, by partition: when
  readonly #attempts = new Map<string, number>()
  #excusedUntilMs = 0
  #held: Got[] = [] // pulled, and not asked on yet
  #isReading = false
  #isSubscribing = false

  constructor(parts: MemberParts) {
    const { name, world, network, plan, random, bootstrap, instanceId } = parts
    this.#parts = parts
    this.name = name
    this.plan = plan
    this.isByKey = plan.isByKey
    this.instanceId = instanceId
    this.process = world.process(name)
    const named = instanceId === null ? {} : { groupInstanceId: instanceId }
    const config = { ...plan.config, ...named, brokers: bootstrap, clientId: name, logger: silentLogger }
    const clock = this.process
    this.#cluster = new Cluster(clusterOptionsOf(resolveConsumerConfig(config)), {
      clock,
      random,
      dial: network.dialler(clock),
    })
    this.consumer = new Consumer(config, { cluster: this.#cluster, clock, random })
    this.#listen()
  }

  isExcused(): boolean {
    if (this.process.isFrozen || this.life === 'dead' || this.#parts.world.nowMs < this.#excusedUntilMs) return true
    // While a join is unanswered nobody tells a classic member that the group has gone on without it.
    return (this.isOutOfReach || this.mayBeUnheard) && this.consumer.getMetrics().groupState === 'joining'
  }

  /** Callbacks that a closing, or a revocation, does not wait for may end behind the last commit. */
  get commitsAll(): boolean {
    const isHasty = this.life === 'closing' && (this.plan.config.closeTimeoutMs ?? 0) < 10_000
    return !isHasty && this.plan.hangsOneIn === 0
  }

  hasToldFailure(key: string): boolean {
    return this.#failures.get(key) === this.#parts.world.nowMs
  }

  get isRunning(): boolean {
    return this.life === 'running' && !this.process.isFrozen
  }

  /** Gone, or in the group without anything left to do there. */
  get isSettled(): boolean {
    if (this.life !== 'running') return this.life !== 'closing'
    const { groupState, runningCallbacks } = this.consumer.getMetrics()
    const isStuck = this.plan.hangsOneIn > 0 && runningCallbacks > 0 // It may yet cost the membership.
    return this.subscribed.size === 0 || (!this.#isSubscribing && !isStuck && groupState === 'stable')
  }

  /** It may be out without knowing it, for so long. */
  excuse(ms: number): void {
    const { world, ledger } = this.#parts
    const untilMs = world.nowMs + ms
    this.#excusedUntilMs = Math.max(this.#excusedUntilMs, untilMs)
    world.process('judge').setTimer(() => {
      if (!this.isExcused() && this.life !== 'closed') ledger.ensureSingle(this)
    }, ms + 1)
  }

  // --- what its program does ---

  async subscribe(topics: readonly string[]): Promise<void> {
    for (const topic of topics) this.subscribed.add(topic)
    this.#isSubscribing = true
    await this.#subscribe(topics)
    this.#isSubscribing = false
  }

  async #subscribe(topics: readonly string[]): Promise<void> {
    const { consumer, plan } = this
    for (;;) {
      const mine = topics.filter((topic) => this.subscribed.has(topic))
      if (mine.length === 0 || this.life !== 'running') return
      try {
        if (plan.way === 'record') await consumer.subscribe(mine, (record) => this.#one(record))
        else if (plan.way === 'batch') await consumer.subscribeBatch(mine, (records) => this.#many(records))
        else await consumer.subscribe(mine)
        this.#tell(`subscribed ${mine}`)
        if (!this.#isReading && plan.way !== 'record' && plan.way !== 'batch') void this.#pull()
        return
      } catch (error) {
        if (this.life !== 'running') return
        const isPassing = error instanceof MQError && (error.is('TIMEOUT') || error.retryable)
        const isCancelled = mine.some((topic) => !this.subscribed.has(topic))
        this.#tell(`could not subscribe: ${error}`)
        if (isCancelled || String(error).includes('is subscribed already')) return
        if (!isPassing) return this.#blame(`subscribe failed: ${error}`)
        await this.process.sleep(200)
      }
    }
  }

  async unsubscribe(topic: string): Promise<void> {
    this.subscribed.delete(topic)
    this.#tell(`unsubscribes ${topic}`)
    try {
      await this.consumer.unsubscribe(topic)
      this.#tell(`unsubscribed ${topic}`)
    } catch (error) {
      if (this.life === 'running') this.#blame(`unsubscribe failed: ${error}`)
    }
  }

  async close(): Promise<void> {
    const { world, network, ledger } = this.#parts
    this.life = 'closing'
    this.#tell('closes')
    const fromMs = world.nowMs
    try {
      await this.consumer.close()
    } catch (error) {
      this.#blame(`close failed: ${error}`)
    }
    await this.#cluster.close()
    if ((this.life as Life) === 'dead') return
    this.life = 'closed'
    this.#tell(`is closed after ${Math.round(world.nowMs - fromMs)} ms`)
    const owned = ledger.keysOf(this)
    if (owned.length > 0) this.#blame(`closed, and never said that it gave back ${owned}`)
    this.process.receive(() => {
      this.#judgeRemains()
      if (network.openOf(this.process) > 0) this.#blame('closed, and has open sockets')
    }, 50)
  }

  #judgeRemains(): void {
    const { prefetchBytes } = this.consumer.getMetrics()
    if (prefetchBytes !== 0) this.#blame(`closed, and has ${prefetchBytes} prefetched bytes`)
    const { timers } = this.process
    if (timers.size > 0) this.#blame(`closed, and has ${timers.size} timers ${[...timers.values()].join('\n')}`)
  }

  /** SIGKILL: its kernel ends the sockets. `isSilent`: the whole machine is gone, nobody says anything. */
  die(isSilent: boolean): void {
    const { network, ledger } = this.#parts
    this.#tell(isSilent ? 'vanishes' : 'dies')
    this.life = 'dead'
    this.process.die()
    ledger.buried(this)
    if (isSilent) network.cut(this.process)
    else network.endAll(this.process)
  }

  pauseSome(ms: number): void {
    const { ledger, random } = this.#parts
    const owned = this.consumer.assignment
    if (owned.length === 0) return
    const tp = pick(random, owned)
    this.#tell(`pauses ${keyOf(tp)} for ${ms} ms`)
    this.consumer.pause([tp])
    ledger.paused(this, keyOf(tp), true)
    this.process.later(() => {
      if (this.life !== 'running') return
      if (!this.consumer.assignment.some((one) => keyOf(one) === keyOf(tp))) return
      ledger.paused(this, keyOf(tp), false)
      this.consumer.resume([tp])
    }, ms)
  }

  seekBack(): void {
    const { ledger, random } = this.#parts
    const owned = this.consumer.assignment.filter((tp) => this.consumer.position(tp) > 0)
    if (owned.length === 0) return
    const tp = pick(random, owned)
    const offset = randomInt(random, this.consumer.position(tp))
    this.#tell(`seeks ${keyOf(tp)} to ${offset}`)
    this.consumer.seek(tp, offset)
    ledger.sought(this, keyOf(tp), offset)
  }

  // --- what it is told ---

  #listen(): void {
    const { ledger } = this.#parts
    const { consumer } = this
    consumer.on('assigned', ({ partitions }) => {
      this.#tell(`assigned ${textOf(partitions)}`)
      ledger.assigned(this, partitions.map(keyOf))
      return this.#dawdle()
    })
    consumer.on('revoked', ({ partitions }) => {
      this.#tell(`revoked ${textOf(partitions)}`)
      ledger.revoked(this, partitions.map(keyOf))
      return this.#dawdle()
    })
    consumer.on('lost', ({ partitions, reason }) => {
      this.#tell(`lost ${textOf(partitions)}: ${reason.message}`)
      this.losses++
      ledger.lost(this, partitions.map(keyOf))
    })
    consumer.on('error', (error) => this.#onError(error))
    consumer.on('warning', ({ message, context }) => this.#tell(`warns: ${message} ${JSON.stringify(context)}`))
    consumer.on('reset', (event) => this.#blame(`reset ${JSON.stringify(event)}`))
    consumer.on('truncation', (event) => this.#blame(`truncation ${JSON.stringify(event)}`))
    consumer.on('stopped', ({ error }) => {
      if (this.life === 'running') this.#blame(`stopped: ${error}`)
    })
    consumer.run().catch(() => {})
  }

  /** A listener that takes its time. */
  #dawdle(): Promise<void> | undefined {
    const { random } = this.#parts
    return chance(random, 6) ? this.process.sleep(between(random, 1, 300)) : undefined
  }

  #onError(error: MQError): void {
    if (error.context.reason === 'CALLBACK') return
    this.#tell(`error ${error.code}: ${error.message}`)
    if (!error.is('OFFSET_COMMIT_FAILED')) return
    const failed = error.context.partitions as readonly TopicPartition[] | undefined
    for (const tp of failed ?? []) this.#failures.set(keyOf(tp), this.#parts.world.nowMs)
  }

  // --- its callbacks ---

  #one(record: Got): Promise<void> | undefined {
    this.#began(record)
    return this.#work([record])
  }

  #many(records: readonly Got[]): Promise<void> | undefined {
    for (const record of records) this.#began(record)
    return this.#work(records)
  }

  #began(record: Got): void {
    const key = keyOf(record)
    const value = String(record.value)
    if (value !== `${key}@${record.offset}`) this.#blame(`gets ${value} at ${key}@${record.offset}`)
    this.#parts.ledger.began(this, key, record.offset, String(record.key))
  }

  #work(records: readonly Got[]): Promise<void> | undefined {
    const ms = this.#durationMs()
    if (ms > 0) return this.#workSlowly(records, ms)
    this.#end(records)
    return undefined
  }

  async #workSlowly(records: readonly Got[], ms: number): Promise<void> {
    await this.process.sleep(ms)
    this.#end(records)
  }

  #durationMs(): number {
    const { plan, hasPeace } = this
    const { random } = this.#parts
    if (plan.hangsOneIn > 0 && !hasPeace && chance(random, plan.hangsOneIn)) {
      return (plan.config.maxPollIntervalMs ?? 0) + between(random, 100, 3_000)
    }
    return plan.callbackMs === 0 ? 0 : between(random, 0, plan.callbackMs)
  }

  /** Done, or failed: the first record of a call decides, always in the same way. */
  #end(records: readonly Got[]): void {
    const { ledger } = this.#parts
    const [first] = records as readonly [Got]
    const { failsOneIn, config } = this.plan
    const at = `${keyOf(first)}@${first.offset}`
    const attempt = (this.#attempts.get(at) ?? 0) + 1
    this.#attempts.set(at, attempt)
    const fails = failsOneIn > 0 && first.offset % failsOneIn === 0 && attempt <= 1 + (first.offset % 2)
    if (!fails) {
      this.#attempts.delete(at)
      for (const record of records) ledger.ended(this, keyOf(record), record.offset)
      return
    }
    for (const record of records) {
      // What fails while the consumer is being closed is left to the next owner.
      if (config.onError === 'skip' && this.life === 'running') ledger.ended(this, keyOf(record), record.offset)
      else ledger.failed(this, keyOf(record), record.offset, String(record.key))
    }
    throw new Error(`a failing callback at ${at}`)
  }

  // --- pulling ---

  async #pull(): Promise<void> {
    this.#isReading = true
    try {
      if (this.plan.way === 'iterate') await this.#iterate()
      else await this.#readOn()
    } catch (error) {
      const isClosed = error instanceof MQError && error.is('CONSUMER_CLOSED') && this.life !== 'running'
      const isOver = isClosed || (error instanceof MQError && error.message.startsWith('nothing to pull'))
      if (!isOver) this.#blame(`pulling failed: ${error}`)
    }
    this.#isReading = false
  }

  async #iterate(): Promise<void> {
    for await (const record of this.consumer) {
      this.#began(record)
      await this.#rest()
      this.#parts.ledger.ended(this, keyOf(record), record.offset)
    }
  }

  async #readOn(): Promise<void> {
    const { random } = this.#parts
    for (;;) {
      // Asking on is what counts, unless the consumer is being closed: the ledger has to know before the commit.
      const { ledger } = this.#parts
      for (const record of this.#held) {
        if (this.life === 'running') ledger.ended(this, keyOf(record), record.offset)
        else ledger.handedBack(this, keyOf(record), record.offset)
      }
      this.#held = []
      const timeoutMs = chance(random, 3) ? { timeoutMs: between(random, 0, 100) } : {}
      const got =
        this.plan.way === 'read'
          ? await this.consumer.read(timeoutMs)
          : await this.consumer.readBatch(between(random, 1, 30), timeoutMs)
      this.#held = got === null ? [] : [got].flat()
      for (const record of this.#held) this.#began(record)
      await this.#rest()
    }
  }

  async #rest(): Promise<void> {
    const ms = this.#durationMs()
    if (ms > 0) await this.process.sleep(ms)
  }

  #tell(text: string): void {
    this.#parts.world.tell(`${this.name} ${text}`)
  }

  #blame(text: string): void {
    this.#parts.world.blame(`${this.name} ${text}`)
  }
}
