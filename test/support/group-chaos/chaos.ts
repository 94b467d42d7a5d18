/**
 * Traffic into one topic while members of one group join, leave, are killed and are stopped; and what their journals
 * say about it. The verdict speaks of strings and numbers that members wrote themselves, never of what they report.
 * Invariant: every process it starts has ended when it ends. Source: kafka.md 8 (checkers), C-39, C-40.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Producer } from '../../../lib/producer/index.js'
import { silentLogger } from '../../../lib/util/index.js'
import { eventually } from '../eventually.js'

const MEMBER = fileURLToPath(new URL('./member.ts', import.meta.url))
const JOIN_LIMIT_MS = 60_000
const DRAIN_LIMIT_MS = 60_000
/** A partition that is back so soon after it was given back has not been anywhere else. */
const SAME_ROUND_MS = 1_500

export interface ChaosOptions {
  readonly brokers: string
  readonly topic: string
  readonly groupId: string
  readonly protocol: 'classic' | 'consumer'
  readonly partitions: number
  /** How long traffic flows. Milliseconds. */
  readonly durationMs: number
  readonly recordsPerSecond: number
  /** What happens, and when (ms since the start). */
  readonly plan: readonly Step[]
  readonly say?: (line: string) => void
}

export interface Step {
  readonly atMs: number
  readonly what: 'join' | 'leave' | 'kill' | 'stop' | 'continue'
  readonly member: string
}

/** How an ownership ended, or 'open' when it did not before its process did. */
type Ending = 'revoked' | 'lost' | 'closed' | 'killed'

interface Ownership {
  readonly member: string
  readonly partition: number
  readonly offsets: number[]
  readonly times: number[]
  ending: Ending
}

export interface Verdict {
  readonly produced: number
  readonly processed: number
  /** Records that nobody processed. */
  readonly missing: string[]
  /** Within an ownership an offset that is not the one after the last. */
  readonly outOfOrder: string[]
  /** Processed again after an ownership that ended cleanly: must not be. */
  readonly repeatedWithoutCause: string[]
  /** Processed again because their first owner was killed, or lost them while it was stopped. */
  readonly repeatedAfterKill: number
  readonly repeatedAfterLoss: number
  readonly ownerships: number
  /** A partition came back to the member that had just given it back: it stopped without moving. */
  readonly stoppedWithoutMoving: string[]
  readonly errors: string[]
  /** What the members wrote, without single records. */
  readonly story: string
}

class Member {
  readonly name: string
  readonly journal: string
  readonly process: ChildProcess
  readonly isReady: Promise<void>
  isKilled = false

  constructor(name: string, folder: string, { brokers, topic, groupId, protocol }: ChaosOptions) {
    this.name = name
    this.journal = join(folder, `${name}.journal`)
    const args = [brokers, topic, groupId, protocol, this.journal, name]
    this.process = fork(MEMBER, args, { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.isReady = new Promise((resolve) => this.process.once('message', () => resolve()))
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null
  }

  ended(): Promise<void> {
    if (this.hasEnded) return Promise.resolve()
    return new Promise((resolve) => this.process.once('exit', () => resolve()))
  }
}

export async function runChaos(options: ChaosOptions): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-group-chaos-'))
  const members = new Map<string, Member>()
  const say = options.say ?? (() => {})
  const producer = new Producer({ brokers: options.brokers, logger: silentLogger })
  try {
    const startMs = Date.now()
    const traffic = produce(producer, options)
    for (const step of options.plan) {
      await sleep(Math.max(0, startMs + step.atMs - Date.now()))
      say(`${((Date.now() - startMs) / 1000).toFixed(1)} s: ${step.what} ${step.member}`)
      await act(step, members, folder, options)
    }
    const produced = await traffic
    await eventually('everything is processed', () => isDone(members, produced), DRAIN_LIMIT_MS)
    for (const member of members.values()) if (!member.hasEnded) member.process.kill('SIGTERM')
    await Promise.all([...members.values()].map((member) => member.ended()))
    return judge([...members.values()], produced)
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${storyOf([...members.values()])}`)
  } finally {
    for (const member of members.values()) if (!member.hasEnded) member.process.kill('SIGKILL')
    await Promise.all([...members.values()].map((member) => member.ended()))
    await producer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Records at a steady rate, `n` of each partition in order. Gives how many each partition got. */
async function produce(producer: Producer, options: ChaosOptions): Promise<number[]> {
  const { topic, partitions, durationMs, recordsPerSecond } = options
  const counts = new Array<number>(partitions).fill(0)
  const startMs = Date.now()
  let sent = 0
  while (Date.now() - startMs < durationMs) {
    const due = Math.floor(((Date.now() - startMs) / 1000) * recordsPerSecond)
    for (; sent < due; sent++) {
      const partition = sent % partitions
      producer.sendAsync(topic, String(counts[partition]), { partition })
      counts[partition] = (counts[partition] as number) + 1
    }
    await sleep(10)
  }
  await producer.flush()
  return counts
}

async function act(
  { what, member: name }: Step,
  members: Map<string, Member>,
  folder: string,
  options: ChaosOptions,
): Promise<void> {
  if (what === 'join') {
    members.set(name, new Member(name, folder, options))
    return
  }
  const member = members.get(name)
  if (member === undefined) throw new Error(`the plan speaks of ${name} before it has joined`)
  await Promise.race([member.isReady, sleep(JOIN_LIMIT_MS)])
  if (what === 'kill') member.isKilled = true
  const signals = { leave: 'SIGTERM', kill: 'SIGKILL', stop: 'SIGSTOP', continue: 'SIGCONT' } as const
  member.process.kill(signals[what])
}

async function isDone(members: Map<string, Member>, produced: readonly number[]): Promise<boolean> {
  const ends = new Array<number>(produced.length).fill(-1)
  for (const member of members.values()) {
    for (const { partition, offsets } of ownershipsOf(member).ownerships)
      ends[partition] = Math.max(ends[partition] as number, offsets.at(-1) ?? -1)
  }
  return produced.every((count, partition) => (ends[partition] as number) >= count - 1)
}

interface Journal {
  readonly ownerships: Ownership[]
  readonly errors: string[]
  readonly returned: string[]
}

function ownershipsOf(member: Member): Journal {
  const open = new Map<number, Ownership>()
  const journal: Journal = { ownerships: [], errors: [], returned: [] }
  const revokedAtMs = new Map<number, number>()
  const end = (partitions: number[], ending: Ending) => {
    for (const partition of partitions) {
      const ownership = open.get(partition)
      if (ownership !== undefined) ownership.ending = ending
      open.delete(partition)
    }
  }
  for (const line of linesOf(member.journal)) {
    const [kind = '', ...words] = line.split(' ')
    const partitions = (words[0] ?? '')
      .split(',')
      .filter((word) => word !== '')
      .map(Number)
    if (kind === 'a') {
      for (const partition of partitions) {
        const awayMs = Number(words[1]) - (revokedAtMs.get(partition) ?? Number.NEGATIVE_INFINITY)
        if (awayMs < SAME_ROUND_MS) journal.returned.push(`${member.name}/${partition}`)
        const made: Ownership = { member: member.name, partition, offsets: [], times: [], ending: 'killed' }
        open.set(partition, made)
        journal.ownerships.push(made)
      }
    } else if (kind === 'r') {
      end(partitions, 'revoked')
      for (const partition of partitions) revokedAtMs.set(partition, Number(words[1]))
    } else if (kind === 'l') end(partitions, 'lost')
    else if (kind === 'c') end([...open.keys()], 'closed')
    else if (kind === 'e') journal.errors.push(`${member.name}: ${words.join(' ')}`)
    else if (kind === 'p') {
      const ownership = open.get(partitions[0] as number)
      if (ownership === undefined) journal.errors.push(`${member.name} processed ${words.join('@')} without owning it`)
      else {
        ownership.offsets.push(Number(words[1]))
        ownership.times.push(Number(words[2]))
      }
    }
  }
  return journal
}

/** What happened, without the single records: for a failure. */
function storyOf(members: readonly Member[]): string {
  return members
    .flatMap(({ name, journal }) => {
      const story: string[] = []
      let processed = 0
      for (const line of linesOf(journal)) {
        if (line.startsWith('p ')) processed++
        else story.push(`${name}: ${processed} processed, ${line}`)
      }
      return [...story, `${name}: ${processed} processed at the end`]
    })
    .join('\n')
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1)
  } catch {
    return [] // It has not begun to write.
  }
}

function judge(members: readonly Member[], produced: readonly number[]): Verdict {
  const journals = members.map(ownershipsOf)
  const ownerships = journals.flatMap((journal) => journal.ownerships)
  const byRecord = new Map<string, Ownership[]>()
  const outOfOrder: string[] = []
  for (const ownership of ownerships) {
    const { member, partition, offsets } = ownership
    for (const [index, offset] of offsets.entries()) {
      const before = offsets[index - 1]
      if (before !== undefined && offset !== before + 1)
        outOfOrder.push(`${member} ${partition}: ${before} -> ${offset}`)
      const name = `${partition}@${offset}`
      byRecord.set(name, [...(byRecord.get(name) ?? []), ownership])
    }
  }
  const missing = produced.flatMap((count, partition) =>
    Array.from({ length: count }, (_, offset) => `${partition}@${offset}`).filter((name) => !byRecord.has(name)),
  )
  const repeatedWithoutCause: string[] = []
  let repeatedAfterKill = 0
  let repeatedAfterLoss = 0
  for (const [name, owners] of byRecord) {
    // All but the last to process it must have been ended from outside.
    const byTime = owners.length === 1 ? [] : [...owners].sort((a, b) => timeOf(a, name) - timeOf(b, name)).slice(0, -1)
    for (const { ending, member } of byTime) {
      if (ending === 'killed') repeatedAfterKill++
      else if (ending === 'lost') repeatedAfterLoss++
      else repeatedWithoutCause.push(`${name} by ${member}, which ${ending}`)
    }
  }
  return {
    produced: produced.reduce((sum, count) => sum + count, 0),
    processed: byRecord.size,
    missing,
    outOfOrder,
    repeatedWithoutCause,
    repeatedAfterKill,
    repeatedAfterLoss,
    ownerships: ownerships.length,
    stoppedWithoutMoving: journals.flatMap(({ returned }) => returned),
    errors: journals.flatMap(({ errors }) => errors),
    story: storyOf(members),
  }
}

function timeOf({ offsets, times }: Ownership, record: string): number {
  return times[offsets.indexOf(Number(record.split('@')[1]))] as number
}
