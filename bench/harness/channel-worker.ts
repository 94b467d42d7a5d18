/**
 * One case of the channel's benchmark in a process of its own: it warms up, then measures a round whenever it is told.
 * Invariant: a wrong result is a failure and ends the process; no round of it is reported.
 */
import { GCProfiler } from 'node:v8'
import type {
  BeginJob,
  ChannelAnswer,
  ChannelCase,
  ChannelCommand,
  ChannelRound,
  ChannelWork,
  Readiness,
} from './channel-job.js'
import { metricsCost } from './channel-metrics.js'
import { items, writeAndRead } from './channel-read.js'
import { readOnThread, wakeUp } from './channel-threads.js'
import { encode, mechanism, writeOnly } from './channel-write.js'

/** Calls between two looks at the clock; a multiple of the records that are written before any is read. */
const STEP = 10_000
/** Fewer say nothing, however slow the machine is at the moment. */
const LEAST_CALLS = 20_000
const HEAP_ROUNDS = 3
/** Calls of a heap measurement beside others, and of one that is the row. */
const HEAP_CALLS = 100_000
const HEAP_ROW_CALLS = 1_000_000

const collect = (globalThis as { gc?: () => void }).gc ?? missingFlag()

/** Begun and told its rounds; one command at a time. */
let running: { readonly work: ChannelWork; readonly job: BeginJob; readonly count: number } | null = null
let tail: Promise<void> = Promise.resolve()

process.once('uncaughtException', fail) // also of a thread
process.on('message', (command: ChannelCommand) => {
  tail = tail.then(() => obey(command)).catch(fail)
})

async function obey(command: ChannelCommand): Promise<void> {
  if (typeof command === 'object') return send({ ready: await begin(command.begin) })
  if (running === null) throw new Error(`${command} came before begin`)
  const { work, job, count } = running
  if (command === 'round') return send({ round: await measure(work, job, count) })
  await work.end?.()
  process.disconnect()
}

function fail(error: unknown): void {
  const answer: ChannelAnswer = { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  process.send?.(answer, () => process.exit(1))
}

function send(answer: ChannelAnswer): void {
  process.send?.(answer)
}

function workOf(what: ChannelCase, isQuick: boolean): ChannelWork {
  if (what.kind === 'write') return writeOnly(what)
  if (what.kind === 'mechanism') return mechanism()
  if (what.kind === 'encode') return encode(what)
  if (what.kind === 'writeRead') return writeAndRead(what)
  if (what.kind === 'items') return items(what)
  if (what.kind === 'metrics') return metricsCost(what, isQuick)
  return what.kind === 'thread' ? readOnThread(what) : wakeUp(isQuick)
}

async function begin(job: BeginJob): Promise<Readiness> {
  const work = workOf(job.what, job.isQuick)
  if (work.warmUpCalls !== undefined) await work.run(work.warmUpCalls)
  const [warmUpMs, roundMs] = job.isQuick ? [100, 50] : [1000, 400]
  const count = work.fixedCount ?? Math.max(LEAST_CALLS, roundTo(await callsWithin(work, roundMs, warmUpMs)))
  if (work.fixedCount !== undefined) await callsWithin(work, roundMs, warmUpMs, Math.min(count, STEP * 10))
  running = { work, job, count }
  const heapBytesPerCall = await leastHeapBytes(work, count, job.isQuick)
  await work.latency?.() // What was measured so far is not of a round.
  return { count, heapBytesPerCall }
}

/**
 * Runs until the code is warm; gives the calls that fill `ms`, by the speed of the last ones. Warm by CPU time, because a
 * busy machine gives little of it in a second; a case that mostly waits has wall time enough.
 */
async function callsWithin(work: ChannelWork, ms: number, warmUpMs: number, most = Number.POSITIVE_INFINITY) {
  const beganNs = nowNs()
  const cpuBefore = process.cpuUsage()
  const isWarm = () => {
    const wallMs = (nowNs() - beganNs) / 1e6
    const { user, system } = process.cpuUsage(cpuBefore)
    return wallMs >= warmUpMs && ((user + system) / 1000 >= warmUpMs || wallMs >= 3 * warmUpMs)
  }
  for (let count = Math.min(most, STEP); ; count = Math.min(most, count * 2)) {
    const fromNs = nowNs()
    await work.run(count)
    const tookNs = nowNs() - fromNs
    if (isWarm() && (tookNs >= ms * 5e5 || count === most)) return (count * ms * 1e6) / tookNs
    if (tookNs >= ms * 1e6) count /= 2
  }
}

function roundTo(calls: number): number {
  return Math.max(1, Math.round(calls / STEP)) * STEP
}

async function measure(work: ChannelWork, { figure }: BeginJob, count: number): Promise<ChannelRound> {
  const calls = figure === 'heap' ? HEAP_ROW_CALLS : count
  collect()
  await new Promise((resolve) => setImmediate(resolve))
  const verifiedBefore = work.verified()
  let heapBytes = 0
  const cpuBefore = process.cpuUsage()
  const fromNs = nowNs()
  if (figure === 'heap') heapBytes = await allocatedBytes(work, calls)
  else await work.run(calls)
  const wallNs = nowNs() - fromNs
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    calls,
    wallNs,
    cpuNs: (user + system) * 1000,
    verified: (work.verified() - verifiedBefore) >>> 0,
    ...(figure === 'heap' ? { heapBytes } : {}),
    ...(work.latency === undefined ? {} : { latency: await work.latency() }),
  }
}

/** Least of several: what the machine itself leaves meanwhile (compiled code, statistics) is not the call's. */
async function leastHeapBytes(work: ChannelWork, count: number, isQuick: boolean): Promise<number> {
  const calls = Math.min(HEAP_CALLS, count)
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < (isQuick ? 1 : HEAP_ROUNDS); round++)
    least = Math.min(least, await allocatedBytes(work, calls))
  return least / calls
}

/** Everything that was allocated on the heap: what it grew by, and what each collection meanwhile took away. */
async function allocatedBytes(work: ChannelWork, calls: number): Promise<number> {
  collect()
  const profiler = new GCProfiler()
  profiler.start()
  let from = process.memoryUsage().heapUsed
  await work.run(calls)
  const end = process.memoryUsage().heapUsed
  let allocated = 0
  for (const { beforeGC, afterGC } of profiler.stop().statistics) {
    allocated += beforeGC.heapStatistics.usedHeapSize - from
    from = afterGC.heapStatistics.usedHeapSize
  }
  return allocated + end - from
}

function nowNs(): number {
  return Number(process.hrtime.bigint())
}

function missingFlag(): never {
  throw new Error('the process needs --expose-gc')
}
