/**
 * The model of the channel as a program, for CI and for soaks.
 *   node --import tsx test/channel/model/main.ts --runs 100000 --seed 1
 *   node --import tsx test/channel/model/main.ts --jobs 2            the same runs, shared by two processes
 *   node --import tsx test/channel/model/main.ts --mutant all        every mutant must be found
 *   node --import tsx test/channel/model/main.ts --mutant 3 --runs 5000
 * Prints what was done how often; of a failure the seed and the shortest story. Exit code 0: no failure (all mutants found),
 * 1: some, 5: the command line is wrong.
 */
import { parseArgs } from 'node:util'
import { runJobs } from './jobs.js'
import { makeChannel } from './makers.js'
import { MUTANTS } from './mutants.js'
import { campaign, type Failure, noTotals, shrink, type Totals, tell } from './run.js'

function numberOf(text: string | undefined, name: string, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  console.error(`--${name} ${text}: expected a whole number`)
  return process.exit(5)
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    seed: { type: 'string' },
    jobs: { type: 'string' },
    mutant: { type: 'string' },
  },
})
const seed = numberOf(values.seed, 'seed', 1)
const runs = numberOf(values.runs, 'runs', values.mutant === undefined ? 100_000 : 10_000)
const startedMs = performance.now()

function counts(of: Readonly<Record<string, number>>): string {
  const sorted = Object.entries(of).sort(([, a], [, b]) => b - a)
  return sorted.map(([name, count]) => `${name} ${count}`).join(', ')
}

function report(totals: Totals, failures: readonly Failure[]): void {
  console.log(`operations: ${counts(totals.operations)}`)
  console.log(`kinds: ${counts(totals.kinds)}`)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(
    `${totals.runs} runs from seed ${seed}, ${totals.steps} operations, ${totals.records} records, ${totals.callbacks} callbacks, ${failures.length} failures, ${seconds} s`,
  )
}

async function playRuns(): Promise<boolean> {
  const { totals, failures } = await runJobs({ runs, seed }, Math.max(1, numberOf(values.jobs, 'jobs', 1)))
  for (const failure of failures) console.log(`FAILURE\n${await tell(await shrink(failure, makeChannel), makeChannel)}`)
  report(totals, failures)
  return failures.length === 0
}

async function playMutants(which: string): Promise<boolean> {
  const names = Object.keys(MUTANTS)
  const chosen = which === 'all' ? names : names.slice(numberOf(which, 'mutant', 0)).slice(0, 1)
  let missed = 0
  for (const name of chosen) {
    const make = MUTANTS[name] as typeof makeChannel
    const totals = noTotals()
    const failure = await campaign(runs, seed, make, totals)
    if (failure === null) {
      missed++
      console.log(`MISSED in ${runs} runs: ${name}`)
    } else {
      const { steps, text } = await shrink(failure, make)
      console.log(`found after ${totals.runs + 1} runs, ${steps.length} steps: ${name} (${text.split('\n')[0]})`)
      if (chosen.length === 1) console.log(await tell(await shrink(failure, make), make))
    }
  }
  console.log(`${chosen.length - missed} of ${chosen.length} mutants found`)
  return missed === 0
}

const isRight = values.mutant === undefined ? await playRuns() : await playMutants(values.mutant)
process.exitCode = isRight ? 0 : 1
