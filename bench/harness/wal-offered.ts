/**
 * A log under a fixed load: each item is due at its own moment, and its latency counts from there, so that a stall hits
 * all items it delays and not only the one that was being appended.
 * Why the loop spins: a timer of one millisecond would be most of the latency.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Outcome, type Wal } from '../../lib/wal/index.js'
import { Latencies } from './latencies.js'
import type { WalCase, WalMeasurement } from './wal-job.js'
import { Items, openLog, readBack } from './wal-log.js'

const MIB = 1_024 * 1_024
/** Of the timer that watches the loop; it is part of what it records. Milliseconds. */
const WATCH_MS = 1
const LOOP_SEGMENT_BYTES = 16 * MIB
const LOOP_MAX_BYTES = 256 * MIB
/** Unmeasured at first: compiling and the first segments. */
const WARM_UP_SECONDS = 1

type Of<K extends WalCase['kind']> = Extract<WalCase, { readonly kind: K }>

export async function measureOffered(what: Of<'offered'>, dir: string): Promise<WalMeasurement> {
  const { durability, itemBytes, seconds, syncIntervalMs } = what
  const readyBytes = 1.1 * (seconds + WARM_UP_SECONDS) * what.perSecond * itemBytes
  const log = await openLog({ dir, durability, syncIntervalMs, readyBytes })
  const load = new OfferedLoad(log, itemBytes, what.perSecond, false)
  await load.run(WARM_UP_SECONDS)
  const before = log.measures()
  const measured = await load.run(seconds)
  const after = log.measures()
  const found = await readBack(log, load.stream, itemBytes)
  if (found !== load.appended) throw new Error(`${load.appended} records were accepted, ${found} came back`)
  await log.close()
  return {
    ...measured,
    fdatasyncs: after.fdatasyncs - before.fdatasyncs,
    groups: after.groups - before.groups,
    readBack: found,
  }
}

/** Everything is settled as soon as it is accepted, so segments are freed and used again. */
export async function measureLoop(what: Of<'loop'>, dir: string): Promise<WalMeasurement> {
  const { durability, itemBytes, perSecond, seconds } = what
  const log = await openLog({ dir, durability, segmentBytes: LOOP_SEGMENT_BYTES, maxBytes: LOOP_MAX_BYTES })
  const load = new OfferedLoad(log, itemBytes, perSecond, true)
  await load.run(WARM_UP_SECONDS)
  const bytesBefore = log.measures().appendedBytes
  const watch = monitorEventLoopDelay({ resolution: WATCH_MS })
  watch.enable()
  const measured = await load.run(seconds)
  watch.disable()
  const rotations = Math.floor((log.measures().appendedBytes - bytesBefore) / LOOP_SEGMENT_BYTES)
  await log.close()
  const late = (share: number) => Math.max(0, watch.percentile(share) / 1e6 - WATCH_MS)
  const loop = { p50: late(50), p99: late(99), p999: late(99.9), max: Math.max(0, watch.max / 1e6 - WATCH_MS) }
  return { ...measured, loop, rotations }
}

class OfferedLoad {
  readonly stream: number
  appended = 0
  readonly #log: Wal
  readonly #items: Items
  readonly #perMs: number
  readonly #settles: boolean
  /** Frames that wait for acceptance: their LSN and the number after their last item. */
  readonly #lsns: number[] = []
  readonly #ends: number[] = []
  #head = 0
  #accepted = 0
  #latencies = new Latencies()
  /** When number 0 of this run was due, and which number that is. */
  #startMs = 0
  #first = 0

  constructor(log: Wal, itemBytes: number, perSecond: number, settles: boolean) {
    this.#log = log
    this.#items = new Items(itemBytes)
    this.#perMs = perSecond / 1_000
    this.#settles = settles
    this.stream = log.streamOf('', '', 0)
  }

  run(seconds: number): Promise<WalMeasurement> {
    const log = this.#log
    const { length } = this.#items
    this.#latencies = new Latencies()
    this.#first = this.appended
    const end = this.appended + Math.round(seconds * 1_000 * this.#perMs)
    const cpuBefore = process.cpuUsage()
    this.#startMs = performance.now()
    return new Promise((resolve) => {
      log.onAccepted = () => this.#hear()
      const turn = () => {
        const due = Math.min(end, this.#first + Math.floor((performance.now() - this.#startMs) * this.#perMs))
        while (this.appended < due && log.admits(length)) this.#append(length)
        if (this.#accepted < end) {
          setImmediate(turn)
          return
        }
        const cpu = process.cpuUsage(cpuBefore)
        const records = end - this.#first
        resolve({
          records,
          bytes: records * length,
          seconds: (performance.now() - this.#startMs) / 1_000,
          cpuSeconds: (cpu.user + cpu.system) / 1e6,
          accept: this.#latencies.percentiles(),
        })
      }
      turn()
    })
  }

  #append(length: number): void {
    const log = this.#log
    log.appendItem(this.stream, this.#items.number(this.appended++), length)
    const last = this.#lsns.length - 1
    if (last >= this.#head && this.#lsns[last] === log.lastLsn) {
      this.#ends[last] = this.appended
      return
    }
    this.#lsns.push(log.lastLsn)
    this.#ends.push(this.appended)
  }

  #hear(): void {
    const nowMs = performance.now()
    const before = this.#accepted
    const { acceptedLsn } = this.#log
    while (this.#head < this.#lsns.length && (this.#lsns[this.#head] as number) <= acceptedLsn) {
      const end = this.#ends[this.#head] as number
      for (let number = this.#accepted; number < end; number++) {
        this.#latencies.note(nowMs - this.#startMs - (number - this.#first) / this.#perMs)
      }
      this.#accepted = end
      this.#head++
    }
    if (this.#head === this.#lsns.length) {
      this.#lsns.length = 0
      this.#ends.length = 0
      this.#head = 0
    }
    if (this.#settles && this.#accepted > before) {
      this.#log.settle(this.stream, before, this.#accepted - 1, Outcome.delivered, -1)
    }
  }
}
