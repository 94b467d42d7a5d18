/**
 * Runs in several processes: each takes its own stretch of seeds.
 * Invariant: a process that ends without a result is a failure, never a smaller sum.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { makeChannel } from './makers.js'
import { campaign, type Failure, noTotals, type Totals } from './run.js'
import { makeSetup, makeSteps } from './setup.js'

export interface JobOptions {
  readonly runs: number
  readonly seed: number
}

export interface JobsResult {
  readonly totals: Totals
  readonly failures: readonly Failure[]
}

/** What a process says at its end; a story is made anew from its seed. */
interface Message {
  readonly totals: Totals
  readonly failed: { readonly seed: number; readonly text: string } | null
}

const JOB = '--job'

export async function runJobs({ runs, seed }: JobOptions, jobs: number): Promise<JobsResult> {
  if (jobs === 1) return resultOf([await runHere({ runs, seed })])
  const share = Math.ceil(runs / jobs)
  return resultOf(
    await Promise.all(
      Array.from({ length: jobs }, (_, job) =>
        runJob({ runs: Math.min(share, runs - job * share), seed: seed + job * share }),
      ),
    ),
  )
}

async function runHere({ runs, seed }: JobOptions): Promise<Message> {
  const totals = noTotals()
  const failure = await campaign(runs, seed, makeChannel, totals)
  return { totals, failed: failure === null ? null : { seed: failure.setup.seed, text: failure.text } }
}

function resultOf(messages: readonly Message[]): JobsResult {
  const totals = noTotals()
  const failures: Failure[] = []
  for (const { totals: part, failed } of messages) {
    totals.runs += part.runs
    totals.steps += part.steps
    totals.records += part.records
    totals.callbacks += part.callbacks
    addAll(totals.operations, part.operations)
    addAll(totals.kinds, part.kinds)
    if (failed === null) continue
    const setup = makeSetup(failed.seed)
    failures.push({ setup, steps: makeSteps(setup), text: failed.text })
  }
  return { totals, failures }
}

function addAll(to: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) to[name] = (to[name] ?? 0) + count
}

function runJob(options: JobOptions): Promise<Message> {
  return new Promise((resolve, reject) => {
    let result: Message | null = null
    const child = fork(fileURLToPath(import.meta.url), [JOB, JSON.stringify(options)])
    child.on('message', (message) => {
      result = message as Message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (result !== null && code === 0) resolve(result)
      else reject(new Error(`the process of seed ${options.seed} ended with ${signal ?? code}`))
    })
  })
}

if (process.argv[2] === JOB) {
  process.send?.(await runHere(JSON.parse(process.argv[3] as string) as JobOptions))
  process.disconnect()
}
