/**
 * Plays one scenario: a producer brings batches into doubt and is killed, the cluster changes, another producer recovers.
 * The verdict is that of the one oracle over what a reader found, and the events are added up and compared with what the
 * scenario names. Invariant: every child has ended when it returns.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child, ChildEars, Children } from '../support/children.js'
import type { Job, Lane } from '../support/job.js'
import { faultsOf, Ledger } from '../support/ledger.js'
import { type ExpectedEdge, RECORDS_PER_BATCH, type Scenario, UNSENT } from './scenarios.js'
import type { EdgeStage } from './stage.js'

const STEP_LIMIT_MS = 40_000
const LATE_EVENTS_MS = 200
const APPEND_LIMIT_MS = 10_000
const POLL_MS = 50

/** What differs from the scenario, one sentence each; empty = it ended as it must. */
export async function play(
  scenario: Scenario,
  stage: EdgeStage,
  children: Children,
  scene: { readonly topic: string; readonly dir: string; readonly durability: 'os' | 'periodic' | 'immediate' },
): Promise<string[]> {
  return new Play(scenario, stage, children, scene).run()
}

class Play implements ChildEars {
  readonly #scenario: Scenario
  readonly #stage: EdgeStage
  readonly #children: Children
  readonly #scene: { readonly topic: string; readonly dir: string; readonly durability: string }
  readonly #ledger = new Ledger(1)
  readonly #timestamp: number
  readonly #wrong: string[] = []
  #edges: ExpectedEdge[] = []
  #fatal: string[] = []

  constructor(
    scenario: Scenario,
    stage: EdgeStage,
    children: Children,
    scene: { topic: string; dir: string; durability: string },
  ) {
    this.#scenario = scenario
    this.#stage = stage
    this.#children = children
    this.#scene = scene
    this.#timestamp = scenario.ageMs === undefined ? 0 : Date.now() - scenario.ageMs
  }

  async run(): Promise<string[]> {
    const { topic } = this.#scene
    const { act, edges, ending, afterwards, wal = {}, isReplicated = false } = this.#scenario
    await this.#stage.createTopic(topic, isReplicated)
    const inDoubt = await this.#bringIntoDoubt()
    const undo = await act(this.#stage, topic, inDoubt)
    await this.#return(wal, ending)
    undo?.()
    this.#compareEdges(edges)
    if (ending === 'all') await this.#judgeAll()
    else await this.#judgeUnchanged()
    if (afterwards === undefined) return this.#wrong
    await this.#return(afterwards.wal, 'all')
    this.#compareEdges(afterwards.edges)
    if (afterwards.ending === 'all') await this.#judgeAll()
    else await this.#judgeAfresh()
    return this.#wrong
  }

  sent(lane: number, from: number, to: number): void {
    this.#ledger.sent(lane, from, to)
  }

  accepted(lane: number, from: number, to: number): void {
    this.#ledger.accepted(lane, from, to)
  }

  refused(lane: number, number: number, code: string): void {
    this.#wrong.push(`record ${number} of lane ${lane} was refused: ${code}`)
  }

  event({ name, what }: Parameters<ChildEars['event']>[0]): void {
    if (name === 'error' || name === 'walFailed') this.#fatal.push(String(what.code))
    if (name !== 'walEdge') return
    const edge = what as unknown as ExpectedEdge
    const known = this.#edges.find((one) => one.case === edge.case && one.action === edge.action)
    const records = edge.records + (known?.records ?? 0)
    this.#edges = [...this.#edges.filter((one) => one !== known), { case: edge.case, records, action: edge.action }]
  }

  async #bringIntoDoubt(): Promise<number> {
    const child = await this.#children.take()
    child.begin(this.#job('doubt', {}), this)
    const outcome = await within(child, ['sent', 'failed'])
    const { doubt } = this.#scenario
    const expected = doubt.loses === 'answers' ? doubt.batches * RECORDS_PER_BATCH : 0
    const inDoubt = outcome === 'sent' ? await this.#untilThere(expected) : 0
    await child.kill()
    if (outcome !== 'sent') throw new Error(`the batches did not come into doubt: ${storyOf(child, outcome)}`)
    this.#compare('records in doubt in the topic', inDoubt, expected)
    this.#compare('accepted', this.#ledger.count('accepted'), 1 + doubt.batches * RECORDS_PER_BATCH + doubt.unsent)
    return inDoubt
  }

  /** What was sent is appended a moment later, as long as its sender lives. */
  async #untilThere(records: number): Promise<number> {
    for (const deadlineMs = Date.now() + APPEND_LIMIT_MS; ; await sleep(POLL_MS)) {
      const inDoubt = (await this.#stage.end(this.#scene.topic)) - 1
      if (inDoubt >= records || Date.now() > deadlineMs) return inDoubt
    }
  }

  async #return(wal: object, ending: Scenario['ending']): Promise<void> {
    this.#edges = []
    this.#fatal = []
    const child = await this.#children.take()
    child.begin(this.#job('drain', wal), this)
    const outcome = await within(child, ending === 'all' ? ['closed', 'failed'] : ['recovered', 'closed', 'failed'])
    if (ending === 'all' && outcome !== 'closed') this.#wrong.push(`no end of the recovery: ${storyOf(child, outcome)}`)
    if (ending === 'held' && outcome === 'failed') this.#wrong.push(`the recovery failed: ${storyOf(child, outcome)}`)
    if (ending === 'refused' && !this.#isRefused(child)) {
      this.#wrong.push(`expected WAL_CLUSTER_MISMATCH, got ${outcome}, errors ${this.#fatal.join(', ') || 'none'}`)
    }
    if (ending !== 'all') await sleep(LATE_EVENTS_MS) // events are told in turns of their own
    await child.kill()
  }

  #isRefused(child: Child): boolean {
    const texts = [
      JSON.stringify(child.of('failed') ?? ''),
      JSON.stringify(child.of('unconnected') ?? ''),
      ...this.#fatal,
    ]
    return texts.some((text) => text.includes('WAL_CLUSTER_MISMATCH'))
  }

  async #judgeAll(): Promise<void> {
    const { tally, stories } = this.#ledger.judge(this.#lanes(), [await this.#stage.read(this.#scene.topic)], '')
    if (faultsOf(tally) > 0) this.#wrong.push(...stories)
  }

  /** Held or refused: nothing was sent; what is in the topic is what was there before. */
  async #judgeUnchanged(): Promise<void> {
    const found = await this.#stage.read(this.#scene.topic)
    const { tally } = this.#ledger.judge(this.#lanes(), [found], '')
    this.#compare('duplicated', tally.duplicated, 0)
    const { doubt } = this.#scenario
    const most = 1 + doubt.batches * RECORDS_PER_BATCH
    if (found.length > most)
      this.#wrong.push(`${found.length} records are in the topic, at most ${most} were sent before`)
  }

  /** The new topic has what was unsettled: all but the delivered record, once each. */
  async #judgeAfresh(): Promise<void> {
    const found = await this.#stage.read(this.#scene.topic)
    const { tally } = this.#ledger.judge(this.#lanes(), [found], '')
    const unsettled = this.#scenario.doubt.batches * RECORDS_PER_BATCH + UNSENT
    this.#compare('records in the new topic', found.length, unsettled)
    this.#compare('lost', tally.lost, 1) // the one that was delivered to the old topic
    this.#compare('duplicated, reordered, altered, foreign', faultsOf({ ...tally, lost: 0 }), 0)
  }

  #compareEdges(expected: readonly ExpectedEdge[]): void {
    const words = (edges: readonly ExpectedEdge[]) =>
      edges
        .map(({ case: edge, records, action }) => `${edge} ${records} ${action}`)
        .sort()
        .join(', ') || 'none'
    this.#compare('edges', words(this.#edges), words(expected))
  }

  #compare(what: string, found: unknown, expected: unknown): void {
    if (found !== expected) this.#wrong.push(`${what}: expected ${expected}, found ${found}`)
  }

  #lanes(): Lane[] {
    return [{ topic: this.#scene.topic, partition: 0, from: this.#ledger.next(0) }]
  }

  #job(role: Job['role'], wal: object): Job {
    const { dir, durability } = this.#scene
    return {
      seed: 1,
      brokers: this.#stage.brokers,
      lanes: this.#lanes(),
      role,
      limit: 0,
      burst: 1,
      window: 1_000,
      isEager: false,
      isOnlyDurable: true,
      closeAfterMs: -1,
      closeLimitMs: 0,
      doubt: role === 'doubt' ? this.#scenario.doubt : null,
      timestamp: this.#timestamp,
      producer: {
        retryBackoffMs: 10,
        wal: { durability: durability as 'os', dir, maxBytes: 64 * 1024 * 1024, ...wal },
      },
    }
  }
}

async function within(
  child: Child,
  milestones: readonly ('sent' | 'recovered' | 'closed' | 'failed')[],
): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`not within ${STEP_LIMIT_MS} ms`), STEP_LIMIT_MS)
  })
  const outcome = await Promise.race([child.reached(...milestones), late])
  clearTimeout(timer)
  return outcome
}

function storyOf(child: Child, outcome: string): string {
  const failed = child.of('failed')
  return [outcome, failed === undefined ? '' : JSON.stringify(failed), child.stderr].filter(Boolean).join('; ')
}
