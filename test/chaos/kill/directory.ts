/**
 * The life of one log directory: several producers in turn, each killed at a moment the seed decides, at last one that
 * drains; then the verdict over what the topics hold.
 *
 *   child 1 --SIGKILL--> child 2 --SIGKILL--> .. child n --SIGKILL--> drain --> read --> judge
 *                                                                  brokers: stopped, killed, led away from, silenced
 *
 * Invariant: the last child runs with the cluster whole again, so what is missing then is missing for good.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RandomSource, randomInt } from '../../../lib/util/index.js'
import type { Child, ChildEars, Children } from '../support/children.js'
import type { ChaosCluster, Trouble } from '../support/cluster.js'
import type { Job, Lane } from '../support/job.js'
import { Ledger, type Tally } from '../support/ledger.js'
import type { Durability } from './options.js'

/** A child that has not come so far by then never will; a real broker that restarts on a busy machine takes a minute. */
const OPEN_LIMIT_MS = 120_000
const DRAIN_LIMIT_MS = 60_000
const TOPICS = 2
/** Share of the cycles that wait until the cluster is whole again, however long that takes. */
const PATIENT = 0.5
/** Some close before they are killed, or are killed while they close. */
const CLOSES_ONE_IN = 8

export interface DirectoryPlan {
  readonly number: number
  readonly seed: number
  readonly dir: string
  readonly durability: Durability
  readonly kills: number
  readonly partitions: number
  /** Words that run it again. */
  readonly replay: string
}

export interface DirectoryReport {
  readonly plan: DirectoryPlan
  readonly tally: Tally
  readonly stories: readonly string[]
  readonly kills: number
  /** Ends by `close()`, beside the kills. */
  readonly closes: number
  readonly killsInRecovery: number
  readonly troubles: ReadonlyMap<Trouble, number>
  /** Records by case of `walEdge`. */
  readonly edges: ReadonlyMap<string, number>
  /** Refused sends by error code; brokers in trouble may cause some. */
  readonly refusals: ReadonlyMap<string, number>
  /** What did not come to an end, or ended by itself. */
  readonly stuck: string | null
  readonly ms: number
}

/** When a child is killed: so long after it reached a point, or when so many records were accepted. */
type Moment =
  | { readonly kind: 'after'; readonly point: 'job' | 'open' | 'recovered'; readonly ms: number }
  | { readonly kind: 'accepted'; readonly records: number }

export async function runDirectory(
  plan: DirectoryPlan,
  cluster: ChaosCluster,
  children: Children,
  random: RandomSource,
): Promise<DirectoryReport> {
  const life = new Life(plan, cluster, children, random)
  const startedMs = performance.now()
  await life.begin()
  while (life.kills < plan.kills && life.stuck === null) await life.cycle()
  await life.drain()
  const { tally, stories } = await life.verdict()
  const { killsInRecovery, kills, closes, troubles, edges, refusals, stuck } = life
  return {
    plan,
    tally,
    stories,
    kills,
    closes,
    killsInRecovery,
    troubles,
    edges,
    refusals,
    stuck,
    ms: performance.now() - startedMs,
  }
}

class Life implements ChildEars {
  readonly troubles = new Map<Trouble, number>()
  readonly edges = new Map<string, number>()
  readonly refusals = new Map<string, number>()
  kills = 0
  /** Children that had closed before they could be killed. */
  closes = 0
  killsInRecovery = 0
  stuck: string | null = null
  readonly #plan: DirectoryPlan
  readonly #cluster: ChaosCluster
  readonly #children: Children
  readonly #random: RandomSource
  readonly #topics: readonly string[]
  readonly #ledger: Ledger
  /** What is being done to the cluster; one at a time. */
  #trouble: Promise<void> = Promise.resolve()
  #isTroubled = false
  #acceptedNow = 0
  #onAccepted: (() => void) | null = null

  constructor(plan: DirectoryPlan, cluster: ChaosCluster, children: Children, random: RandomSource) {
    this.#plan = plan
    this.#cluster = cluster
    this.#children = children
    this.#random = random
    this.#topics = Array.from({ length: TOPICS }, (_, index) => `kill-${plan.seed}-${plan.number}-${index}`)
    this.#ledger = new Ledger(TOPICS * plan.partitions)
  }

  async begin(): Promise<void> {
    for (const [index, topic] of this.#topics.entries()) {
      await this.#cluster.createTopic(topic, this.#plan.partitions, index === 0)
    }
  }

  async cycle(): Promise<void> {
    if (this.#random.next() < PATIENT) await this.#trouble
    const child = await this.#children.take()
    const moment = this.#moment()
    this.#acceptedNow = 0
    child.begin(this.#job('load'), this)
    this.#makeTrouble()
    await this.#until(child, moment)
    const hasClosed = child.has('closed')
    if (child.has('failed') || (child.hasEnded && !hasClosed)) this.#isStuck(child, 'a child ended by itself')
    if (hasClosed) this.closes++
    else {
      if (this.kills + this.closes > 0 && !child.has('recovered')) this.killsInRecovery++
      this.kills++
    }
    await child.kill()
  }

  async drain(): Promise<void> {
    await this.#trouble
    const child = await this.#children.take()
    child.begin(this.#job('drain'), this)
    const limit = limited(DRAIN_LIMIT_MS)
    const outcome = await Promise.race([child.reached('closed', 'failed'), limit.over])
    limit.stop()
    if (outcome !== 'closed') this.#isStuck(child, `the last child did not drain (${outcome})`)
    const report = child.of('closed') as { unsentRecords?: number; inWalRecords?: number } | undefined
    if ((report?.inWalRecords ?? 0) !== 0) this.#isStuck(child, `close() left records: ${JSON.stringify(report)}`)
    await child.kill()
  }

  async verdict(): Promise<ReturnType<Ledger['judge']>> {
    const { partitions, replay } = this.#plan
    const found = []
    for (const topic of this.#topics) found.push(...(await this.#cluster.read(topic, partitions)))
    const judgement = this.#ledger.judge(this.#lanes(), found, replay)
    for (const topic of this.#topics) await this.#cluster.deleteTopic(topic)
    return judgement
  }

  sent(lane: number, from: number, to: number): void {
    this.#ledger.sent(lane, from, to)
  }

  accepted(lane: number, from: number, to: number): void {
    this.#ledger.accepted(lane, from, to)
    this.#acceptedNow += to - from + 1
    this.#onAccepted?.()
  }

  refused(lane: number, number: number, code: string, status: string): void {
    this.#ledger.refused(lane, number, status)
    this.refusals.set(code, 1 + (this.refusals.get(code) ?? 0))
  }

  event({ name, what }: Parameters<ChildEars['event']>[0]): void {
    if (name !== 'walEdge') return
    const edge = String(what.case)
    this.edges.set(edge, Number(what.records) + (this.edges.get(edge) ?? 0))
  }

  #lanes(): Lane[] {
    return this.#topics.flatMap((topic, index) =>
      Array.from({ length: this.#plan.partitions }, (_, partition) => ({
        topic,
        partition,
        from: this.#ledger.next(index * this.#plan.partitions + partition),
      })),
    )
  }

  #job(role: Job['role']): Job {
    const { durability, dir } = this.#plan
    const random = this.#random
    return {
      seed: randomInt(random, 2 ** 31),
      brokers: this.#cluster.brokers,
      lanes: this.#lanes(),
      role,
      limit: 0,
      burst: 1 + randomInt(random, randomInt(random, 2) === 0 ? 20 : 400),
      window: 500 + randomInt(random, 4_000),
      isEager: randomInt(random, 3) === 0,
      isOnlyDurable: randomInt(random, 3) === 0,
      closeAfterMs: role === 'load' && randomInt(random, CLOSES_ONE_IN) === 0 ? randomInt(random, 300) : -1,
      closeLimitMs: randomInt(random, 500),
      doubt: null,
      timestamp: 0,
      producer: {
        compression: randomInt(random, 2) === 0 ? 'none' : 'lz4',
        lingerMs: randomInt(random, 6),
        retryBackoffMs: 10,
        wal: durability === 'memory' ? { durability } : { durability, dir, maxBytes: 64 * 1024 * 1024 },
      },
    }
  }

  #moment(): Moment {
    const random = this.#random
    const kind = randomInt(random, 10)
    if (kind < 2) return { kind: 'after', point: 'job', ms: randomInt(random, 60) }
    if (kind < 5) return { kind: 'after', point: 'open', ms: randomInt(random, 40) }
    if (kind < 6) return { kind: 'after', point: 'recovered', ms: randomInt(random, 40) }
    if (kind < 8) return { kind: 'accepted', records: 1 + randomInt(random, 3_000) }
    return { kind: 'after', point: 'open', ms: 30 + randomInt(random, 300) }
  }

  #makeTrouble(): void {
    const { troubles, troubled } = this.#cluster
    if (this.#isTroubled || troubles.length === 0 || this.#random.next() >= troubled) return
    const kind = troubles[randomInt(this.#random, troubles.length)] as Trouble
    this.troubles.set(kind, 1 + (this.troubles.get(kind) ?? 0))
    this.#isTroubled = true
    const delayMs = randomInt(this.#random, 80)
    this.#trouble = sleep(delayMs)
      .then(() => this.#cluster.trouble(kind, this.#topics, this.#random))
      .finally(() => {
        this.#isTroubled = false
      })
  }

  async #until(child: Child, moment: Moment): Promise<void> {
    const limit = limited(OPEN_LIMIT_MS)
    const reached =
      moment.kind === 'accepted'
        ? Promise.race([this.#untilAccepted(moment.records), child.reached('failed', 'closed')])
        : moment.point === 'job'
          ? Promise.resolve()
          : child.reached(moment.point, 'unconnected', 'failed', 'closed')
    const outcome = await Promise.race([reached, limit.over])
    limit.stop()
    if (outcome === LATE) this.#isStuck(child, `a child did not come to ${JSON.stringify(moment)}`)
    else if (moment.kind === 'after') await sleep(moment.ms)
  }

  #untilAccepted(records: number): Promise<void> {
    return new Promise((resolve) => {
      this.#onAccepted = () => {
        if (this.#acceptedNow < records) return
        this.#onAccepted = null
        resolve()
      }
    })
  }

  #isStuck(child: Child, what: string): void {
    const failed = child.of('failed')
    this.stuck ??= [what, failed === undefined ? '' : JSON.stringify(failed), child.stderr].filter(Boolean).join('; ')
  }
}

const LATE = 'too late'

function limited(ms: number): { readonly over: Promise<typeof LATE>; stop(): void } {
  let stop = () => {}
  const over = new Promise<typeof LATE>((resolve) => {
    const timer = setTimeout(() => resolve(LATE), ms)
    stop = () => clearTimeout(timer)
  })
  return { over, stop }
}
