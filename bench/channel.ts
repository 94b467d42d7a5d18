/**
 * What a write into the channel costs, and a write with its read (features.md 8, first two rows; CH-20).
 * Run: npx tsx bench/channel.ts [--quick]. Prints one JSON line per case: every run, their median and spread, and the
 * heap bytes one write leaves. Numbers of one machine compare with numbers of the same machine only.
 * Method: a process per case, so that none inherits the other's types and garbage; one shared payload buffer, as in the original; a case says whether bytes are copied and whether anybody reads.
 * Without a reader the budget's oldest buffers are dropped, so that memory stays bounded; dropping is in the time.
 */
import { spawnSync } from 'node:child_process'
import os from 'node:os'
import v8 from 'node:v8'
import vm from 'node:vm'
import {
  ArenaPool,
  ByteChannel,
  type ByteChannelOptions,
  channelSettings,
  DoubleBufferChannel,
} from '../lib/channel/index.js'

const KIB = 1024
const MIB = 1024 * KIB
const isQuick = process.argv.includes('--quick')
const WARM_UP_MS = isQuick ? 100 : 1000
const RUN_MS = isQuick ? 50 : 400
const RUNS = 5

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

interface Case {
  readonly name: string
  readonly payloadBytes: number
  readonly copies: boolean
  readonly reader: string
  /** Does the work `count` times. */
  readonly run: (count: number) => void
}

/** The limits of the original's benchmark: slots, bytes, fill, window. */
const ORIGINAL = { maxRecords: 20_971_520, maxBytes: 100 * MIB, fillPercent: 80, windowMs: 5000 } as const

function writeOnly(payloadBytes: number, copies: boolean): Case {
  const options: ByteChannelOptions = {
    ...ORIGINAL,
    switchStrategy: 'size',
    copyOnWrite: copies,
    readMode: 'zeroCopy', // also large copies go into arenas
    onFull: 'dropOldest',
    bufferMemoryBytes: 256 * MIB,
    maxSpares: 4,
    arenas: new ArenaPool({ maxRetainedBytes: 256 * MIB }),
  }
  const channel = new ByteChannel(options)
  const bytes = Buffer.alloc(payloadBytes, 'x')
  const run = (count: number) => {
    for (let index = 0; index < count; index++) channel.write(bytes)
  }
  return { name: 'write', payloadBytes, copies, reader: 'none, oldest buffers dropped', run }
}

/** 10,000 writes, then 10,000 reads, each chunk released and its counter checked; the time is of one write and one read. */
function writeAndRead(payloadBytes: number, readMode: 'zeroCopy' | 'safe'): Case {
  const copies = payloadBytes < 64 * KIB // the original moves no byte of a large payload
  const bufferMemoryBytes = 1024 * MIB
  const channel = new ByteChannel({
    maxRecords: 10_000,
    maxBytes: 1024 * MIB,
    copyOnWrite: copies,
    readMode,
    bufferMemoryBytes,
  })
  const bytes = Buffer.alloc(payloadBytes, 'x')
  let written = 0
  let read = 0
  const run = (count: number) => {
    for (let done = 0; done < count; done += 10_000) {
      for (let index = 0; index < 10_000; index++) {
        if (copies) bytes.writeUInt32LE(written, 0)
        written = (written + 1) >>> 0
        channel.write(bytes)
      }
      for (let chunk = channel.tryRead(); chunk !== undefined; chunk = channel.tryRead()) {
        if (copies && (chunk.bytes as Buffer).readUInt32LE(0) !== read) throw new Error(`expected ${read}`)
        read = (read + 1) >>> 0
        chunk.release()
      }
      if (read !== written) throw new Error(`read ${read} of ${written}`)
    }
  }
  return { name: 'write + read', payloadBytes, copies, reader: `one, ${readMode}`, run }
}

/** The mechanism alone: what a lane pays beside encoding, sealing and recycling every 160 records included. */
function mechanism(): Case {
  const makeBuffer = () => ({ records: 0, bytes: 0, sequence: -1, firstAtMs: -1 })
  type Bare = ReturnType<typeof makeBuffer>
  const channel: DoubleBufferChannel<Bare> = new DoubleBufferChannel<Bare>(
    { createBuffer: makeBuffer, clearBuffer: () => {}, onSealed: () => channel.recycle(channel.take() as Bare) },
    channelSettings({ maxBytes: 16 * KIB, windowMs: 5 }),
  )
  const run = (count: number) => {
    for (let index = 0; index < count; index++) {
      const { active } = channel
      active.records++
      active.bytes += 100
      channel.wrote()
    }
  }
  return { name: 'wrote() alone', payloadBytes: 100, copies: false, reader: 'recycles at once', run }
}

function nowNs(): number {
  return Number(process.hrtime.bigint())
}

function countFor(one: Case, ms: number): number {
  let count = 10_000
  for (let tookNs = 0; ; count *= 2) {
    const from = nowNs()
    one.run(count)
    tookNs = nowNs() - from
    if (tookNs >= ms * 5e5) return Math.max(10_000, Math.ceil((count * ms * 1e6) / tookNs / 10_000) * 10_000)
  }
}

async function measure(one: Case): Promise<void> {
  const untilNs = nowNs() + WARM_UP_MS * 1e6
  while (nowNs() < untilNs) one.run(10_000)
  const count = countFor(one, RUN_MS)
  const runs: number[] = []
  for (let round = 0; round < RUNS; round++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
    const from = nowNs()
    one.run(count)
    runs.push((nowNs() - from) / count)
  }
  const sorted = [...runs].sort((a, b) => a - b)
  const median = sorted[RUNS >> 1] as number
  const spread = ((sorted[RUNS - 1] as number) - (sorted[0] as number)) / median
  print(one, count, runs, median, spread)
}

/** Heap bytes one call leaves: few enough calls that no collection comes in between, and the least of several rounds. */
function heapBytesPerCall(one: Case): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < RUNS; round++) {
    collect()
    const before = process.memoryUsage().heapUsed
    one.run(10_000)
    const grown = (process.memoryUsage().heapUsed - before) / 10_000
    if (grown >= 0) least = Math.min(least, grown)
  }
  return least
}

function print(one: Case, count: number, runs: readonly number[], median: number, spread: number): void {
  const line = {
    bench: `channel: ${one.name}`,
    runtime: `node ${process.version}`,
    cores: os.availableParallelism(),
    payloadBytes: one.payloadBytes,
    copies: one.copies,
    reader: one.reader,
    metrics: 'counters on',
    count,
    runsNs: runs.map(round),
    medianNs: round(median),
    spreadPercent: Math.round(spread * 100),
    heapBytesPerCall: round(heapBytesPerCall(one)),
  }
  console.log(JSON.stringify(line))
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

const SIZES = [128, KIB, 64 * KIB] as const
const cases: (() => Case)[] = [
  mechanism,
  ...SIZES.map((size) => () => writeOnly(size, false)),
  () => writeOnly(MIB, false),
  ...SIZES.map((size) => () => writeOnly(size, true)),
  ...(['zeroCopy', 'safe'] as const).flatMap((mode) => [
    () => writeAndRead(128, mode),
    () => writeAndRead(64 * KIB, mode),
  ]),
]

const CASE = '--case='
const chosen = process.argv.find((argument) => argument.startsWith(CASE))
if (chosen === undefined) {
  for (const index of cases.keys()) {
    const args = [...process.execArgv, ...process.argv.slice(1), `${CASE}${index}`]
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
    if (status !== 0) process.exit(status ?? 1)
  }
} else await measure((cases[Number(chosen.slice(CASE.length))] as () => Case)())
