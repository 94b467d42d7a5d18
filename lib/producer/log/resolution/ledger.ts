/**
 * What the resolution counts and reports: how each batch was decided, and each occurrence of a case E1..E14.
 * Invariant: a record is counted once per case, however often the same question comes up again; every count is also
 * an event.
 * Source: wal.md 1.3, 5 (`resolved_batches_total`, `edge_total`).
 */
import type { Entry, StreamFacts, Wal } from '../../../wal/index.js'
import type { BatchVerdict, EdgeAction, EdgeCase, EdgeStatus, WalEdge } from './types.js'

export class Ledger {
  readonly verdicts = new Map<string, number>()
  /** Case -> topic -> records. */
  readonly edges = new Map<string, Map<string, number>>()
  /** Entries that have been decided. */
  decided = 0
  readonly #wal: Wal
  readonly #tell: (event: WalEdge) => void
  /** What was counted already: `case lsn`. */
  readonly #counted = new Set<string>()

  constructor(wal: Wal, tell: (event: WalEdge) => void) {
    this.#wal = wal
    this.#tell = tell
  }

  verdict(verdict: BatchVerdict, batches: number): void {
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + batches)
    this.decided += batches
  }

  /** An operator's word changes what was counted as held. */
  reverse(verdict: BatchVerdict, batches: number): void {
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) - batches)
    this.decided -= batches
  }

  /** One event per run of consecutive positions of one incarnation. */
  edge(stream: StreamFacts, edge: EdgeCase, entries: readonly Entry[], status: EdgeStatus, action: EdgeAction): void {
    for (const run of runsOf(entries)) {
      this.#count(stream.topic, edge, run)
      const first = run[0] as Entry
      const last = run.at(-1) as Entry
      this.#tell({
        case: edge,
        topic: stream.topic,
        partition: stream.partition,
        incarnationId: incarnationIdOf(this.#wal, first),
        firstPosition: first.firstPosition,
        lastPosition: last.firstPosition + last.count - 1,
        records: recordsOf(run),
        status,
        action,
      })
    }
  }

  #count(topic: string, edge: EdgeCase, run: readonly Entry[]): void {
    const fresh = run.filter(({ lsn }) => !this.#counted.has(`${edge} ${lsn}`))
    for (const { lsn } of fresh) this.#counted.add(`${edge} ${lsn}`)
    let topics = this.edges.get(edge)
    if (topics === undefined) {
      topics = new Map()
      this.edges.set(edge, topics)
    }
    topics.set(topic, (topics.get(topic) ?? 0) + recordsOf(fresh))
  }
}

export function recordsOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { unsettled }) => sum + unsettled, 0)
}

/** The opening that accepted the entry, not the one that copied it forward. */
function birthOf({ incarnation, originIncarnation }: Entry): number {
  return originIncarnation > 0 ? originIncarnation : incarnation
}

function incarnationIdOf(wal: Wal, entry: Entry): string {
  const incarnation = birthOf(entry)
  const { previous } = wal.recovered
  if (previous?.incarnation === incarnation) return previous.incarnationId
  return wal.incarnationIdOf?.(incarnation) ?? ''
}

function runsOf(entries: readonly Entry[]): Entry[][] {
  const runs: Entry[][] = []
  for (const entry of entries) {
    const run = runs.at(-1)
    const last = run?.at(-1)
    const follows =
      last !== undefined && last.firstPosition + last.count === entry.firstPosition && birthOf(last) === birthOf(entry)
    if (run !== undefined && follows) run.push(entry)
    else runs.push([entry])
  }
  return runs
}
