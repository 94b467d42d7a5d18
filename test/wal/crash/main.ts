/**
 * The enumeration of crash states as a program, for CI and for soaks.
 *   node --import tsx test/wal/crash/main.ts --states 1000000 --seed 1
 *   node --import tsx test/wal/crash/main.ts --jobs 2             the same work, shared by two processes
 *   node --import tsx test/wal/crash/main.ts --soak             100,000,000 states, from a seed of the day
 * Prints progress, the seed of each failure and the shortest story that leads to it. Exit code 0: no failure, 1: some,
 * 5: the command line is wrong.
 * Source: wal.md 6.2, suite A.
 */
import { parseArgs } from 'node:util'
import type { CampaignResult } from './campaign.js'
import { runJobs } from './jobs.js'

const SOAK_STATES = 100_000_000
const PROGRESS_MS = 5000

function numberOf(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  console.error(`--${name} ${text}: expected a whole number`)
  return process.exit(5)
}

const { values } = parseArgs({
  options: {
    states: { type: 'string' },
    seed: { type: 'string' },
    'per-history': { type: 'string' },
    soak: { type: 'boolean', default: false },
    jobs: { type: 'string' },
    'keep-going': { type: 'boolean', default: false },
  },
})
const seed = numberOf(values.seed, 'seed', values.soak ? Math.floor(Date.now() / 86_400_000) * 1_000_000 : 1)
const states = numberOf(values.states, 'states', values.soak ? SOAK_STATES : 1_000_000)
const startedMs = performance.now()
let toldMs = startedMs
const told = new Set<string>()

function tell(totals: CampaignResult): void {
  for (const story of totals.stories) {
    const text = story.join('\n  ')
    if (!told.has(text)) console.log(`FAILURE\n  ${text}`)
    told.add(text)
  }
  if (performance.now() - toldMs < PROGRESS_MS) return
  toldMs = performance.now()
  console.log(line(totals))
}

function line(totals: CampaignResult): string {
  const seconds = (performance.now() - startedMs) / 1000
  const { histories, distinct, picks, judged, moments, deepOpenings, stories } = totals
  return [
    `${seconds.toFixed(1)} s: ${distinct} distinct states of ${picks} picks, ${judged} recoveries judged`,
    `${moments} moments in ${histories} histories, ${deepOpenings} openings with crashes in them`,
    `${Math.round(distinct / seconds)} states/s, ${stories.length} failures`,
  ].join('; ')
}

console.log(`crash states: ${states} wanted, seed ${seed}`)
const statesPerHistory = numberOf(values['per-history'], 'per-history', 20_000)
const jobs = Math.max(1, numberOf(values.jobs, 'jobs', 1))
const totals = await runJobs({ states, seed, statesPerHistory, stopsAtFailure: !values['keep-going'] }, jobs, tell)
tell(totals)
console.log(line(totals))
if (jobs === 1) console.log(`cpu ${(process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6).toFixed(1)} s`)
process.exitCode = totals.stories.length > 0 ? 1 : 0
