/**
 * A log on a simulated disk, its owner, and the owner's own book of what was promised.
 * Invariant checked by `check`: everything accepted and not settled is in the log, readable, once; all files together
 * stay within `maxBytes`.
 */
import { expect } from 'vitest'
import { type RandomSource, randomInt, seededRandom } from '../../../../lib/util/index.js'
import type { AppendedEntry, WalOptions } from '../../../../lib/wal/index.js'
import { WriteAheadLog } from '../../../../lib/wal/write-ahead-log.js'
import {
  listEvents,
  listLogger,
  Pump,
  SimDisk,
  type SimParts,
  simOptions,
  simParts,
  type Told,
  WAL_DIR,
} from '../../../support/wal-sim/index.js'

export interface Promised {
  readonly lsn: number
  readonly stream: number
  readonly firstPosition: number
  readonly count: number
  readonly seed: number
  readonly bytes: number
  isAccepted: boolean
  isRefused: boolean
  isSettled: boolean
}

export class Driver {
  readonly disk: SimDisk
  readonly options: WalOptions
  readonly random: RandomSource
  readonly told: Told[] = []
  readonly lines: string[] = []
  readonly book: Promised[] = []
  parts: SimParts
  pump: Pump
  log!: WriteAheadLog
  maxSeenBytes = 0

  constructor(seed: number, options: Partial<WalOptions> = {}, disk = new SimDisk()) {
    this.disk = disk
    this.options = simOptions(options)
    this.random = seededRandom(seed)
    this.parts = simParts(disk, seed, { logger: listLogger(this.lines) })
    this.pump = new Pump(disk, this.parts.clock, this.random)
    this.pump.onStill = () => this.#watch()
  }

  async open(): Promise<void> {
    this.log = await this.pump.until(WriteAheadLog.open(this.options, this.parts, listEvents(this.told)), 'open')
  }

  /** Appends when there is room; null: none. */
  append(stream: number, count: number, bytes: number): Promised | null {
    if (!this.log.admits(bytes + 4)) return null
    const seed = randomInt(this.random, 256)
    const entry: AppendedEntry = {
      ...{ stream, count, maxTimestampMs: 1, producerId: 7n, epoch: 0, baseSequence: 0, part: 0, parts: 0 },
      ...{ originLsn: 0, lsn: 0, firstPosition: 0 },
    }
    const lsn = this.log.append(entry, new Uint8Array(4).fill(seed), new Uint8Array(bytes).fill(seed))
    const facts = { lsn, stream, firstPosition: entry.firstPosition, count, seed, bytes: bytes + 4 }
    const promised = { ...facts, isAccepted: false, isRefused: false, isSettled: false }
    this.book.push(promised)
    this.log.accepted(lsn).then(
      () => {
        expect(promised.isRefused || promised.isAccepted).toBe(false)
        promised.isAccepted = true
      },
      () => {
        expect(promised.isRefused || promised.isAccepted).toBe(false)
        promised.isRefused = true
      },
    )
    return promised
  }

  settle(promised: Promised): number {
    promised.isSettled = true
    const { stream, firstPosition, count } = promised
    return this.log.settle(stream, firstPosition, firstPosition + count - 1, 0, firstPosition)
  }

  get owed(): Promised[] {
    return this.book.filter(({ isAccepted, isSettled }) => isAccepted && !isSettled)
  }

  /** Everything that is owed can be read, and nothing else claims its positions. */
  async check(): Promise<void> {
    for (const { lsn, seed, bytes, firstPosition, stream } of this.owed) {
      const entry = this.log.entry(lsn)
      expect(entry, `entry of LSN ${lsn}`).toBeDefined()
      expect(entry?.firstPosition).toBe(firstPosition)
      expect(this.log.entriesOf(stream).filter((other) => other.firstPosition === firstPosition).length).toBe(1)
      const body = await this.pump.until(this.log.read(lsn), `read of LSN ${lsn}`)
      expect(body).toEqual(new Uint8Array(bytes).fill(seed))
    }
  }

  /** The process dies and starts again; what is on its way is done or not done. */
  async killAndReopen(bootId = 'boot-1'): Promise<void> {
    const { clock } = this.parts
    this.parts = simParts(this.disk, randomInt(this.random, 1e9), { logger: listLogger(this.lines), clock, bootId })
    await this.open()
  }

  #watch(): void {
    let bytes = 0
    for (const [path, file] of this.disk.names.cached) {
      if (path.startsWith(`${WAL_DIR}/`) && /\.(wal|seg|tmp)$/.test(path)) bytes += file.cachedBytes
    }
    this.maxSeenBytes = Math.max(this.maxSeenBytes, bytes)
    expect(bytes, 'bytes of all files').toBeLessThanOrEqual(this.options.maxBytes)
    expect(this.disk.violations).toEqual([])
  }
}
