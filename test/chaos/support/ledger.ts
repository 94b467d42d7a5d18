/**
 * What the children of one directory sent and had accepted over all their lives, and the verdict over what a reader found.
 * Why ranges: a cycle has tens of thousands of records, in a few stretches. Invariant: the list of accepted records holds
 * only what a child told after its promise resolved. Verdicts come from the one oracle.
 */
import { type Finding, judge, type LoggedRecord, type SentRecord, tell } from '../../support/oracle.js'
import type { Lane } from './job.js'
import { identityOf, keyFor, valueFor } from './values.js'

/** A record as any independent reader gives it. */
export interface FoundRecord {
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

interface Stretch {
  readonly from: number
  readonly to: number
}

/** Counts over all lanes. `found` = records in the log. */
export interface Tally {
  sent: number
  accepted: number
  found: number
  /** In the log although the acceptance never arrived: allowed, once. */
  unheard: number
  lost: number
  duplicated: number
  reordered: number
  altered: number
  foreign: number
  forbidden: number
}

export interface Judgement {
  readonly tally: Tally
  /** One text per lane with findings. */
  readonly stories: readonly string[]
}

/** A refusal that says this status promises that the record is in no log. */
const NOT_PERSISTED = 'not-persisted'

export class Ledger {
  readonly #sent: Stretch[][]
  readonly #accepted: Stretch[][]
  readonly #refused = new Map<string, string>()

  constructor(lanes: number) {
    this.#sent = Array.from({ length: lanes }, () => [])
    this.#accepted = Array.from({ length: lanes }, () => [])
  }

  sent(lane: number, from: number, to: number): void {
    this.#sent[lane]?.push({ from, to })
  }

  accepted(lane: number, from: number, to: number): void {
    this.#accepted[lane]?.push({ from, to })
  }

  refused(lane: number, number: number, status: string): void {
    this.#refused.set(`${lane}:${number}`, status)
  }

  get refusals(): number {
    return this.#refused.size
  }

  /** The first number of a lane that was never sent. */
  next(lane: number): number {
    return 1 + (this.#sent[lane]?.at(-1)?.to ?? -1)
  }

  count(kind: 'sent' | 'accepted'): number {
    const lanes = kind === 'sent' ? this.#sent : this.#accepted
    return lanes.flat().reduce((sum, { from, to }) => sum + to - from + 1, 0)
  }

  /** Compares each lane with what a reader found in its partition, in ascending offsets. */
  judge(lanes: readonly Lane[], found: readonly (readonly FoundRecord[])[], scene: string): Judgement {
    const tally = { ...EMPTY }
    const stories: string[] = []
    for (const [index, { topic, partition }] of lanes.entries()) {
      const sent = this.#history(index)
      const log = (found[index] ?? []).map((record) => logged(index, record))
      const verdict = judge({ topic, partition, sent, log })
      add(tally, sent, log, verdict.findings)
      if (verdict.findings.length > 0) stories.push(tell(verdict, { replay: scene }))
    }
    return { tally, stories }
  }

  #history(lane: number): SentRecord[] {
    const accepted = new Set<number>()
    for (const { from, to } of this.#accepted[lane] ?? []) for (let n = from; n <= to; n++) accepted.add(n)
    const history: SentRecord[] = []
    for (const { from, to } of this.#sent[lane] ?? []) {
      for (let number = from; number <= to; number++) {
        const id = `${lane}:${number}`
        const isRefused = this.#refused.get(id) === NOT_PERSISTED
        const outcome = accepted.has(number) ? 'acknowledged' : isRefused ? NOT_PERSISTED : 'possibly-persisted'
        history.push({ id, outcome, content: AS_SENT })
      }
    }
    return history
  }
}

const AS_SENT = 'key and value as they were sent'

function logged(lane: number, { offset, key, value }: FoundRecord): LoggedRecord {
  const text = value?.toString('latin1') ?? 'null'
  const known = identityOf(text)
  if (known === null || known.lane !== lane) return { offset, id: `unknown ${text.slice(0, 40)}` }
  const { number } = known
  const isSame = text === valueFor(lane, number) && (key?.toString() ?? null) === keyFor(lane, number)
  return { offset, id: `${lane}:${number}`, content: isSame ? AS_SENT : `key ${String(key)}, value ${text}` }
}

const EMPTY: Tally = {
  sent: 0,
  accepted: 0,
  found: 0,
  unheard: 0,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  altered: 0,
  foreign: 0,
  forbidden: 0,
}

function add(tally: Tally, sent: readonly SentRecord[], log: readonly LoggedRecord[], found: readonly Finding[]): void {
  const accepted = new Set(sent.filter(({ outcome }) => outcome === 'acknowledged').map(({ id }) => id))
  tally.sent += sent.length
  tally.accepted += accepted.size
  tally.found += log.length
  tally.unheard += log.filter(({ id }) => !accepted.has(id)).length
  for (const { kind } of found) if (kind !== 'misplaced') tally[kind]++
}

export function sumOf(tallies: readonly Tally[]): Tally {
  const sum = { ...EMPTY }
  for (const tally of tallies) for (const name of Object.keys(sum) as (keyof Tally)[]) sum[name] += tally[name]
  return sum
}

/** What must be zero whatever was killed. */
export function faultsOf({ lost, duplicated, reordered, altered, foreign, forbidden }: Tally): number {
  return lost + duplicated + reordered + altered + foreign + forbidden
}
