/**
 * What the batch queue costs: items one by one and by the thousand, in memory and into the log, with and without figures,
 * and below and at its bound (wal.md 8, features.md 8).
 * Run: npx tsx bench/queue.ts [--quick] [--dir=<folder of the logs>]. Prints one JSON line per case: every run, median and
 * worst. Numbers of one machine compare with numbers of the same machine only.
 * Method: a process per case; one producer and a concurrent sender that keeps what it gets; time
 * counts until the last item of a slice has come; then, outside of it, every item is looked at: each must have come once, in order, with its bytes.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import v8 from 'node:v8'
import vm from 'node:vm'
import { BatchQueue, bytesCodec, type QueueOptions } from '../lib/queue/index.js'
import { Latencies } from './harness/latencies.js'

const isQuick = process.argv.includes('--quick')
const WARM_UP_MS = isQuick ? 100 : 1000
const RUNS = 5
const BOUND = 50_000
const SLICE = 200_000 // items between two readings
const DIFFERENT = 4096 // items that are told apart
const ROOT = process.argv.find((argument) => argument.startsWith('--dir='))?.slice(6) ?? os.tmpdir()

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

interface Case {
  readonly name: string
  readonly payloadBytes: number
  /** Items of one run. */
  readonly items: number
  readonly options: Omit<QueueOptions<Uint8Array>, 'send'>
  /** How many per call; 1 = `enqueue`. */
  readonly per: number
  /** Calls before the producer waits for the promise of the last. */
  readonly burst: number
  /** Items per second that are offered; null: as fast as it goes. */
  readonly offered: number | null
  readonly goal: string
}

const memory = { memoryMaxItems: BOUND, lingerMs: 5, codec: bytesCodec() } as const
const logged = { ...memory, walMaxBytes: 1_073_741_824, lingerMs: 5 } as const
const scale = isQuick ? 0.02 : 1
const million = (count: number) => Math.max(10_000, Math.round(count * 1_000_000 * scale))

function one(name: string, more: Partial<Case>): Case {
  return {
    name,
    payloadBytes: 100,
    items: million(5),
    options: memory,
    per: 1,
    burst: 1,
    offered: null,
    goal: '',
    ...more,
  }
}

const ENQUEUE_GOAL = 'floor 1 M/s, P99 < 1 ms; goal 3 M/s, P99 < 0.2 ms'
const BATCH_GOAL = 'floor 100 M items/s by reference'
const cases: readonly Case[] = [
  one('enqueue, memory, each awaited', { goal: ENQUEUE_GOAL }),
  one('enqueue, memory, 16 at a time', { burst: 16, goal: ENQUEUE_GOAL }),
  one('enqueue, memory, 16 at a time, metrics: false', {
    burst: 16,
    options: { ...memory, metrics: false },
    goal: 'metrics cost <= 3 %',
  }),
  one('enqueue, memory, at its bound (blocks)', { burst: 20_000, goal: ENQUEUE_GOAL }),
  one('enqueue, memory, latency at 500 k/s offered', { items: million(2), offered: 500_000, goal: 'P99 < 0.2 ms' }),
  one('enqueueBatch(1000), memory, by reference', { per: 1000, items: million(10), goal: BATCH_GOAL }),
  one('enqueueBatch(1000), memory, at its bound', { per: 1000, burst: 100, items: million(10), goal: BATCH_GOAL }),
  ...(['os', 'periodic', 'immediate'] as const).map((durability) =>
    one(`enqueueBatch(1000), ${durability}, copied into the log`, {
      per: 1000,
      items: million(3),
      burst: 8,
      options: { ...logged, durability },
      goal: 'goal 10 M items/s',
    }),
  ),
  one('enqueue, os, 1000 at a time', { burst: 1000, items: million(2), options: { ...logged, durability: 'os' } }),
  one('enqueue, os, latency at 200 k/s offered', {
    items: million(1),
    offered: 200_000,
    options: { ...logged, durability: 'os' },
  }),
]

const payloads = Array.from({ length: DIFFERENT }, (_, index) => {
  const bytes = new Uint8Array(100).fill(120)
  new DataView(bytes.buffer).setUint32(0, index)
  return bytes
})
const batches = Array.from({ length: DIFFERENT }, (_, first) =>
  Array.from({ length: 1000 }, (_, index) => payloads[(first + index) % DIFFERENT] as Uint8Array),
)

class Stage {
  readonly queue: BatchQueue<Uint8Array>
  readonly #dir: string | null
  #next = 0 // the item that must come next
  #sent = 0
  #got: (readonly Uint8Array[])[] = []

  constructor(options: Case['options']) {
    this.#dir = options.durability === undefined ? null : mkdtempSync(join(ROOT, 'tandem-bench-queue-'))
    const where = this.#dir === null ? {} : { dir: this.#dir }
    this.queue = new BatchQueue<Uint8Array>({ ...options, ...where, send: async (batch) => void this.#got.push(batch) })
  }

  async run({ per, burst }: Case, items: number): Promise<void> {
    let accepted: Promise<void> = Promise.resolve()
    for (let sent = 0; sent < items; ) {
      for (let call = 0; call < burst && sent < items; call++, sent += per) {
        const at = (this.#sent + sent) % DIFFERENT
        accepted =
          per === 1
            ? this.queue.enqueue(payloads[at] as Uint8Array)
            : this.queue.enqueueBatch(batches[at] as Uint8Array[])
      }
      await accepted
    }
    this.#sent += Math.ceil(items / per) * per
    await this.queue.flush()
  }

  /** Each call timed, at a fixed rate, the producer's pauses included in nobody's time. */
  async offer(perSecond: number, items: number, latencies: Latencies): Promise<void> {
    const startMs = performance.now()
    for (let sent = 0; sent < items; ) {
      const due = Math.min(items, Math.floor(((performance.now() - startMs) * perSecond) / 1000))
      for (; sent < due; sent++) {
        const fromMs = performance.now()
        const accepted = this.queue.enqueue(payloads[(this.#sent + sent) % DIFFERENT] as Uint8Array)
        if (this.#dir === null) latencies.note(performance.now() - fromMs)
        else void accepted.then(() => latencies.note(performance.now() - fromMs))
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#sent += items
    await this.queue.flush()
  }

  /** Reads back what has come since the last time. */
  check(): void {
    for (const batch of this.#got) this.#check(batch)
    this.#got = []
  }

  async close(): Promise<void> {
    this.check()
    const report = await this.queue.close()
    if (report.sent !== this.#sent || report.pending + report.failed + report.dropped > 0) {
      throw new Error(`of ${this.#sent} items: ${JSON.stringify(report)}`)
    }
    if (this.#dir !== null) rmSync(this.#dir, { recursive: true })
  }

  #check(batch: readonly Uint8Array[]): void {
    let next = this.#next
    for (let index = 0; index < batch.length; index++) {
      const bytes = batch[index] as Uint8Array
      const number = ((bytes[2] as number) << 8) | (bytes[3] as number)
      if (number !== next || bytes.length !== 100) throw new Error(`expected item ${next}, got ${number}`)
      next = next + 1 === DIFFERENT ? 0 : next + 1
    }
    this.#next = next
  }
}

async function measure(chosen: Case): Promise<void> {
  const stage = new Stage(chosen.options)
  await stage.queue.start()
  const untilMs = performance.now() + WARM_UP_MS
  while (performance.now() < untilMs) {
    await stage.run(chosen, Math.max(chosen.per, 20_000))
    stage.check()
  }
  const runs: number[] = []
  const latencies = new Latencies()
  for (let round = 0; round < RUNS; round++) {
    collect()
    const ms =
      chosen.offered === null ? await timed(stage, chosen) : await offered(stage, chosen, chosen.offered, latencies)
    runs.push(chosen.items / ms / 1000)
  }
  const heapBytesPerItem = chosen.options.durability === undefined ? await heapBytes(stage, chosen) : null
  await stage.close()
  print(chosen, runs, latencies, heapBytesPerItem)
}

/** In slices, read back in between and outside the time: kept for long, batches would be the collector's work. */
async function timed(stage: Stage, chosen: Case): Promise<number> {
  let ms = 0
  for (let left = chosen.items; left > 0; left -= SLICE) {
    const from = performance.now()
    await stage.run(chosen, Math.min(SLICE, left))
    ms += performance.now() - from
    stage.check()
  }
  return ms
}

async function offered(stage: Stage, chosen: Case, perSecond: number, latencies: Latencies): Promise<number> {
  const from = performance.now()
  await stage.offer(perSecond, chosen.items, latencies)
  const ms = performance.now() - from
  stage.check()
  return ms
}

/** Heap bytes one item leaves before it is sent: the promise of it all is that none is created for it. */
async function heapBytes(stage: Stage, chosen: Case): Promise<number> {
  const items = Math.max(chosen.per, 10_000)
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < RUNS; round++) {
    collect()
    const before = process.memoryUsage().heapUsed
    await stage.run({ ...chosen, burst: 1000 }, items)
    least = Math.min(least, Math.max(0, (process.memoryUsage().heapUsed - before) / items))
  }
  return round(least)
}

function print(chosen: Case, runs: readonly number[], latencies: Latencies, heapBytesPerItem: number | null): void {
  const sorted = [...runs].sort((a, b) => b - a)
  const line = {
    bench: `queue: ${chosen.name}`,
    runtime: `node ${process.version}`,
    cores: os.availableParallelism(),
    payloadBytes: chosen.payloadBytes,
    bound: BOUND,
    items: chosen.items,
    itemsReadBack: 'all, in order',
    millionItemsPerSecond: runs.map(round),
    median: round(sorted[RUNS >> 1] as number),
    worst: round(sorted[RUNS - 1] as number),
    ...(chosen.offered === null ? {} : { offeredPerSecond: chosen.offered, latencyMs: latencies.percentiles() }),
    ...(heapBytesPerItem === null ? {} : { heapBytesPerItem }),
    goal: chosen.goal,
  }
  console.log(JSON.stringify(line))
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

const CASE = '--case='
const number = process.argv.find((argument) => argument.startsWith(CASE))
if (number === undefined) {
  for (const index of cases.keys()) {
    const args = [...process.execArgv, ...process.argv.slice(1), `${CASE}${index}`]
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
    if (status !== 0) process.exit(status ?? 1)
  }
} else await measure(cases[Number(number.slice(CASE.length))] as Case)
