/**
 * Reads the figures of ME-7 from Node and, where there is a /proc, from Linux.
 * Why not a package: these few numbers are a read of two files and four calls.
 * Invariant: whatever cannot be read is undefined; one disk that does not answer leaves the others alone.
 */
import { readFile, statfs } from 'node:fs/promises'
import { cpus, freemem, totalmem } from 'node:os'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { DiskMeasures, ProcessMeasures } from './process-measures.js'

/** Node's histogram holds the time between two ticks: the tick's own length is no delay. Milliseconds. */
const TICK_MS = 10
const NS_PER_MS = 1e6
const NS_PER_S = 1e9
/** Disks told at most: labels are bounded. */
const MAX_DISKS = 64

/** Where the figures come from; tests give their own. */
export interface ProcessProbe {
  /** Begins what needs an interval. */
  start(): void
  look(): Promise<ProcessMeasures>
  stop(): void
}

interface CpuTimes {
  readonly busy: number
  readonly all: number
}

/** Of the event-loop histogram so far; the sum in nanoseconds. */
interface DelayTotals {
  readonly count: number
  readonly sum: number
}

interface Mount {
  readonly partition: string
  readonly mountpoint: string
}

export function systemProbe(): ProcessProbe {
  return new SystemProbe()
}

class SystemProbe implements ProcessProbe {
  #cpu: CpuTimes = { busy: 0, all: 0 }
  #delay: IntervalHistogram | null = null
  #delayTotals: DelayTotals = { count: 0, sum: 0 }

  start(): void {
    this.#cpu = cpuTimes()
    this.#delay = monitorEventLoopDelay({ resolution: TICK_MS })
    this.#delay.enable()
    this.#delayTotals = { count: 0, sum: 0 }
  }

  async look(): Promise<ProcessMeasures> {
    const [disks, network] = await Promise.all([diskMeasures(), networkBytes()])
    return {
      cpuPercent: this.#cpuPercent(),
      memoryPercent: (1 - freemem() / totalmem()) * 100,
      disks,
      networkSentBytes: network?.sent,
      networkReceivedBytes: network?.received,
      heapBytes: process.memoryUsage().heapUsed,
      activeResources: process.getActiveResourcesInfo().length,
      eventLoopDelaySeconds: this.#delaySeconds(),
    }
  }

  stop(): void {
    this.#delay?.disable()
    this.#delay = null
  }

  #cpuPercent(): number | undefined {
    const before = this.#cpu
    const now = cpuTimes()
    this.#cpu = now
    const all = now.all - before.all
    return all <= 0 ? undefined : Math.min(100, Math.max(0, ((now.busy - before.busy) * 100) / all))
  }

  #delaySeconds(): number | undefined {
    const delay = this.#delay
    if (delay === null) return undefined
    const before = this.#delayTotals
    this.#delayTotals = { count: delay.count, sum: delay.count === 0 ? 0 : delay.mean * delay.count }
    return meanDelaySeconds(before, this.#delayTotals)
  }
}

/** Since the last look, by difference: a reset of the histogram loses the delay that is just under way. */
export function meanDelaySeconds(before: DelayTotals, now: DelayTotals): number | undefined {
  const added = now.count - before.count
  if (added <= 0) return undefined
  const mean = (now.sum - before.sum) / added
  return Math.max(0, (mean - TICK_MS * NS_PER_MS) / NS_PER_S)
}

function cpuTimes(): CpuTimes {
  let [busy, all] = [0, 0]
  for (const { times } of cpus()) {
    const used = times.user + times.nice + times.sys + times.irq
    busy += used
    all += used + times.idle
  }
  return { busy, all }
}

async function diskMeasures(): Promise<DiskMeasures[]> {
  const table = await textOf('/proc/mounts')
  const mounts = table === null ? [{ partition: 'root', mountpoint: '/' }] : mountsIn(table)
  const disks = await Promise.all(mounts.slice(0, MAX_DISKS).map(diskOf))
  return disks.filter((disk) => disk !== null)
}

/** The root, and file systems on a device; each once, under its shortest name: what is mounted twice is one disk. */
export function mountsIn(table: string): Mount[] {
  const byDevice = new Map<string, Mount>()
  for (const line of table.split('\n')) {
    const [partition = '', mountpoint = ''] = line.split(' ').map(unescaped)
    if (mountpoint === '' || !(partition.startsWith('/dev/') || mountpoint === '/')) continue
    const known = byDevice.get(partition)
    if (known === undefined || mountpoint.length < known.mountpoint.length) {
      byDevice.set(partition, { partition, mountpoint })
    }
  }
  return [...byDevice.values()]
}

/** The kernel writes blanks and such in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

async function diskOf({ partition, mountpoint }: Mount): Promise<DiskMeasures | null> {
  try {
    const { blocks, bfree, bavail } = await statfs(mountpoint)
    const used = blocks - bfree
    return used + bavail <= 0 ? null : { partition, mountpoint, usedPercent: (used * 100) / (used + bavail) }
  } catch {
    return null // Not ours to read, or gone meanwhile: absent.
  }
}

async function networkBytes(): Promise<{ sent: number; received: number } | null> {
  const table = await textOf('/proc/net/dev')
  return table === null ? null : networkBytesIn(table)
}

/** Columns of /proc/net/dev: received bytes come first, sent bytes ninth. */
export function networkBytesIn(table: string): { sent: number; received: number } {
  let [sent, received] = [0, 0]
  for (const line of table.split('\n')) {
    const [name, columns] = line.split(':')
    if (columns === undefined || name?.trim() === 'lo') continue
    const numbers = columns.trim().split(/\s+/).map(Number)
    received += numbers[0] ?? 0
    sent += numbers[8] ?? 0
  }
  return { sent, received }
}

/** Null where there is no such file. */
async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return null
  }
}
