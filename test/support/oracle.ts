/**
 * The one oracle: compares what was accepted, what was answered and what the log of a partition holds.
 * Why one: unit, chaos and real-Kafka tests must mean the same by lost, duplicated, reordered and altered; the code under
 * test never judges itself, and the log is given by an independent reader.
 * Invariant: a verdict depends on its input only; the first difference is kept so that a failure tells its story.
 * Source: kafka.md section 8 (checkers), style.md section 7.
 */

/** What the sender was told about a record in the end. */
export type Outcome = 'acknowledged' | 'not-persisted' | 'possibly-persisted' | 'pending'

/** One accepted record, in the order in which one sender gave it to the client. */
export interface SentRecord {
  readonly id: string
  readonly outcome: Outcome
  /** Offset of the acknowledgement; absent or -1 when the answer named none. */
  readonly offset?: number
  /** Whatever must come back unchanged (value, headers, a digest); compared only when both sides have it. */
  readonly content?: string
  /** Order is promised per sender; one sender when absent. */
  readonly sender?: string
  /** Free words for the story, such as the batch and the time of the acknowledgement. */
  readonly note?: string
}

/** One record of the log, ascending offsets. */
export interface LoggedRecord {
  readonly offset: number
  readonly id: string
  readonly content?: string
}

export interface LaneHistory {
  readonly topic: string
  readonly partition: number
  readonly sent: readonly SentRecord[]
  readonly log: readonly LoggedRecord[]
}

export type FindingKind = 'lost' | 'duplicated' | 'reordered' | 'altered' | 'misplaced' | 'foreign' | 'forbidden'

export interface Finding {
  readonly kind: FindingKind
  readonly id: string
  readonly detail: string
}

export interface Verdict {
  readonly topic: string
  readonly partition: number
  readonly accepted: number
  readonly acknowledged: number
  readonly inLog: number
  readonly findings: readonly Finding[]
}

/** Where a failure happened and how to see it again. */
export interface Scene {
  readonly seed?: number
  readonly step?: number
  readonly replay?: string
}

const MEANING: Record<FindingKind, string> = {
  lost: 'acknowledged record is not in the log',
  duplicated: 'record is in the log more than once',
  reordered: 'record stands before an older one of its sender',
  altered: 'record came back with other content',
  misplaced: 'acknowledged offset holds another record',
  foreign: 'record was never sent to this partition',
  forbidden: 'record was reported not-persisted and is in the log',
}

/** Judges one partition. */
export function judge(history: LaneHistory): Verdict {
  const sentById = new Map(history.sent.map((record, position) => [record.id, { ...record, position }]))
  if (sentById.size !== history.sent.length)
    throw new Error('the oracle needs distinct ids: two sent records share one')
  const { topic, partition } = history
  return {
    topic,
    partition,
    accepted: history.sent.length,
    acknowledged: history.sent.filter((record) => record.outcome === 'acknowledged').length,
    inLog: history.log.length,
    findings: [
      ...lostRecords(history),
      ...duplicatedRecords(history.log),
      ...reorderedRecords(history.log, sentById),
      ...alteredRecords(history.log, sentById),
      ...misplacedRecords(history),
      ...unexpectedRecords(history.log, sentById),
    ],
  }
}

/** Judges several partitions and throws one error that tells the story of all that went wrong. */
export function expectFaithful(histories: readonly LaneHistory[], scene: Scene = {}): void {
  const failed = histories.map(judge).filter((verdict) => verdict.findings.length > 0)
  if (failed.length > 0) throw new Error(failed.map((verdict) => tell(verdict, scene)).join('\n'))
}

/** The failure in words: counts by kind, the first difference of each, how to replay. */
export function tell(verdict: Verdict, scene: Scene = {}): string {
  const lane = `${verdict.topic}/${verdict.partition}`
  if (verdict.findings.length === 0)
    return `${lane}: ${verdict.accepted} accepted, ${verdict.inLog} in the log, all as they should be`
  const at = [
    scene.seed === undefined ? '' : `seed ${scene.seed}`,
    scene.step === undefined ? '' : `step ${scene.step}`,
  ]
  const head = [at.filter(Boolean).join(', '), `${lane} ${countByKind(verdict.findings)}`].filter(Boolean).join(': ')
  const lines = [
    head,
    `  accepted ${verdict.accepted}, acknowledged ${verdict.acknowledged}, in the log ${verdict.inLog}`,
    ...firstOfEachKind(verdict.findings).map(
      (finding) => `  first ${finding.kind} (${MEANING[finding.kind]}): ${finding.detail}`,
    ),
  ]
  if (scene.replay !== undefined) lines.push(`  replay: ${scene.replay}`)
  return lines.join('\n')
}

type Sent = SentRecord & { readonly position: number }

function lostRecords({ sent, log }: LaneHistory): Finding[] {
  const present = new Set(log.map((record) => record.id))
  return sent
    .map((record, position) => ({ ...record, position }))
    .filter((record) => record.outcome === 'acknowledged' && !present.has(record.id))
    .map((record) => ({ kind: 'lost', id: record.id, detail: `${describe(record)}${offsetWords(record.offset)}` }))
}

function duplicatedRecords(log: readonly LoggedRecord[]): Finding[] {
  const offsets = new Map<string, number[]>()
  for (const record of log) {
    const known = offsets.get(record.id)
    if (known === undefined) offsets.set(record.id, [record.offset])
    else known.push(record.offset)
  }
  return [...offsets]
    .filter(([, places]) => places.length > 1)
    .map(([id, places]) => ({ kind: 'duplicated', id, detail: `${id} at offsets ${places.slice(0, 8).join(', ')}` }))
}

/** Order is that of the first appearances; a later copy is a duplicate, not a second fault. */
function reorderedRecords(log: readonly LoggedRecord[], sentById: ReadonlyMap<string, Sent>): Finding[] {
  const newest = new Map<string, { position: number; id: string; offset: number }>()
  const seen = new Set<string>()
  const findings: Finding[] = []
  for (const { id, offset } of log) {
    const sent = sentById.get(id)
    if (sent === undefined || seen.has(id)) continue
    seen.add(id)
    const sender = sent.sender ?? ''
    const before = newest.get(sender)
    if (before !== undefined && before.position > sent.position) {
      findings.push({
        kind: 'reordered',
        id,
        detail: `${describe(sent)} is at offset ${offset}, behind ${before.id} (sent ${ordinal(before.position)}) at ${before.offset}`,
      })
    } else newest.set(sender, { position: sent.position, id, offset })
  }
  return findings
}

function alteredRecords(log: readonly LoggedRecord[], sentById: ReadonlyMap<string, Sent>): Finding[] {
  const findings: Finding[] = []
  for (const record of log) {
    const sent = sentById.get(record.id)
    if (sent?.content === undefined || record.content === undefined || sent.content === record.content) continue
    const detail = `${record.id} at offset ${record.offset}: ${firstDifference(sent.content, record.content)}`
    findings.push({ kind: 'altered', id: record.id, detail })
  }
  return findings
}

function misplacedRecords({ sent, log }: LaneHistory): Finding[] {
  const idAt = new Map(log.map((record) => [record.offset, record.id]))
  const findings: Finding[] = []
  for (const { id, outcome, offset } of sent) {
    if (outcome !== 'acknowledged' || offset === undefined || offset < 0) continue
    const found = idAt.get(offset)
    if (found === undefined || found === id) continue // absent altogether is "lost"
    findings.push({ kind: 'misplaced', id, detail: `${id} was acknowledged at offset ${offset}, which holds ${found}` })
  }
  return findings
}

function unexpectedRecords(log: readonly LoggedRecord[], sentById: ReadonlyMap<string, Sent>): Finding[] {
  const findings: Finding[] = []
  for (const { id, offset } of log) {
    const sent = sentById.get(id)
    if (sent === undefined) findings.push({ kind: 'foreign', id, detail: `${id} at offset ${offset}` })
    else if (sent.outcome === 'not-persisted')
      findings.push({ kind: 'forbidden', id, detail: `${describe(sent)} at offset ${offset}` })
  }
  return findings
}

function describe(record: Sent): string {
  return `${record.id} (sent ${ordinal(record.position)}${record.note === undefined ? '' : `, ${record.note}`})`
}

const ordinal = (position: number): string => `as number ${position + 1}`

function offsetWords(offset: number | undefined): string {
  return offset === undefined || offset < 0 ? ', acknowledged without an offset' : `, acknowledged at offset ${offset}`
}

function countByKind(findings: readonly Finding[]): string {
  const counts = new Map<FindingKind, number>()
  for (const { kind } of findings) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ')
}

function firstOfEachKind(findings: readonly Finding[]): Finding[] {
  const first = new Map<FindingKind, Finding>()
  for (const finding of findings) if (!first.has(finding.kind)) first.set(finding.kind, finding)
  return [...first.values()]
}

/** Where two texts part, with a little of both. */
function firstDifference(expected: string, found: string): string {
  let at = 0
  while (at < expected.length && at < found.length && expected[at] === found[at]) at++
  const piece = (text: string) => JSON.stringify(text.slice(at, at + 24))
  return `lengths ${expected.length} and ${found.length}, from character ${at} expected ${piece(expected)}, found ${piece(found)}`
}
