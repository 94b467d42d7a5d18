/** Many histories, each with a seed of its own, until enough distinct crash states were judged. */
import type { LogDurability } from '../../../lib/wal/index.js'
import { WriteAheadLog } from '../../../lib/wal/write-ahead-log.js'
import { type HistoryOptions, type HistoryResult, runHistory } from './life.js'
import { judgeSurvey, type Subject } from './recovery.js'

export interface CampaignOptions {
  readonly states: number
  readonly seed: number
  /** Seeds are this far apart: several processes share them out. Default 1. */
  readonly step?: number
  /** States of one history, at most: many short histories say more than a long one. */
  readonly statesPerHistory?: number
  readonly durabilities?: readonly LogDurability[]
  /** Default: the log itself. */
  readonly subject?: Subject
  readonly more?: Partial<HistoryOptions>
  /** Stops at the first failure. Default true. */
  readonly stopsAtFailure?: boolean
  readonly onHistory?: (totals: CampaignResult) => void
}

export interface CampaignResult {
  histories: number
  distinct: number
  picks: number
  judged: number
  moments: number
  deepOpenings: number
  readonly stories: string[][]
}

export const REAL_LOG: Subject = {
  canBind: true,
  open: (options, parts, events) => WriteAheadLog.open(options, parts, events),
  recover: judgeSurvey,
}

/** spill accepts as os does; it is told apart by the producer, not by the log. */
const DURABILITIES: readonly LogDurability[] = ['immediate', 'os', 'periodic']

export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const totals: CampaignResult = {
    histories: 0,
    distinct: 0,
    picks: 0,
    judged: 0,
    moments: 0,
    deepOpenings: 0,
    stories: [],
  }
  const durabilities = options.durabilities ?? DURABILITIES
  while (totals.distinct < options.states) {
    const seed = options.seed + (options.step ?? 1) * totals.histories++
    const result = await runHistory({
      seed,
      durability: durabilities[seed % durabilities.length]!,
      subject: options.subject ?? REAL_LOG,
      isQueue: seed % 4 === 3,
      lives: 4,
      actions: 60,
      allUpTo: 4096,
      sampleOf: 256,
      deepOneIn: 400,
      mostStates: Math.min(options.statesPerHistory ?? 20_000, options.states - totals.distinct),
      ...options.more,
    })
    add(totals, result)
    options.onHistory?.(totals)
    if (totals.stories.length > 0 && (options.stopsAtFailure ?? true)) break
  }
  return totals
}

/** Adds one result to another. */
export function addTotals(totals: CampaignResult, more: CampaignResult): void {
  totals.histories += more.histories
  totals.distinct += more.distinct
  totals.picks += more.picks
  totals.judged += more.judged
  totals.moments += more.moments
  totals.deepOpenings += more.deepOpenings
  totals.stories.push(...more.stories)
}

function add(totals: CampaignResult, result: HistoryResult): void {
  totals.distinct += result.distinct
  totals.picks += result.picks
  totals.judged += result.judged
  totals.moments += result.moments
  totals.deepOpenings += result.deepOpenings
  if (result.story !== null) totals.stories.push(result.story)
}
