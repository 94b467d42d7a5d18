/**
 * A campaign in several processes: each takes every n-th seed and its share of the states. Histories of different seeds
 * have nothing in common, so that what is distinct in each adds up.
 * Invariant: a process that ends without a result is a failure, never a smaller sum.
 * Source: wal.md 6.2, suite A.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { addTotals, type CampaignOptions, type CampaignResult, runCampaign } from './campaign.js'

/** What a process of its own can be told. */
export type JobOptions = Pick<CampaignOptions, 'states' | 'seed' | 'statesPerHistory' | 'stopsAtFailure' | 'step'>

const JOB = '--job'

export async function runJobs(
  options: JobOptions,
  jobs: number,
  onHistory: (totals: CampaignResult) => void,
): Promise<CampaignResult> {
  if (jobs === 1) return runCampaign({ ...options, onHistory })
  const results: (CampaignResult | undefined)[] = []
  const share = Math.ceil(options.states / jobs)
  const tell = () => onHistory(sumOf(results))
  await Promise.all(
    Array.from({ length: jobs }, (_, job) =>
      runJob({ ...options, states: share, seed: options.seed + job, step: jobs }, (result) => {
        results[job] = result
        tell()
      }),
    ),
  )
  return sumOf(results)
}

function sumOf(results: readonly (CampaignResult | undefined)[]): CampaignResult {
  const sum = { histories: 0, distinct: 0, picks: 0, judged: 0, moments: 0, deepOpenings: 0, stories: [] }
  for (const result of results) if (result !== undefined) addTotals(sum, result)
  return sum
}

function runJob(options: JobOptions, onResult: (result: CampaignResult) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [JOB, JSON.stringify(options)])
    child.on('message', (result) => onResult(result as CampaignResult))
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`the process of seed ${options.seed} ended with ${signal ?? code}`))
    })
  })
}

if (process.argv[2] === JOB) {
  const options = JSON.parse(process.argv[3] as string) as JobOptions
  const onHistory = (totals: CampaignResult) => process.send?.(totals)
  await runCampaign({ ...options, onHistory })
  process.disconnect()
}
