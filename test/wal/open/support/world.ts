/** A log on a simulated disk that is opened, used, killed and opened again: the moves that tests of opening share. */
import { seededRandom } from '../../../../lib/util/index.js'
import { type WalOptions, WriteAheadLog } from '../../../../lib/wal/index.js'
import {
  type DiskOptions,
  listEvents,
  listLogger,
  Pump,
  SimDisk,
  type SimParts,
  simOptions,
  simParts,
  type Told,
} from '../../../support/wal-sim/index.js'

export const ITEM_BYTES = 300

export class World {
  readonly disk: SimDisk
  readonly parts: SimParts
  readonly pump: Pump
  readonly told: Told[] = []
  readonly lines: string[] = []
  readonly options: WalOptions

  constructor(disk: SimDisk, options: Partial<WalOptions> = {}, bootId = 'boot-1', seed = 7) {
    this.disk = disk
    this.options = simOptions({ owner: 'queue', ...options })
    this.parts = simParts(disk, seed, { bootId, logger: listLogger(this.lines) })
    this.pump = new Pump(disk, this.parts.clock, seededRandom(seed))
  }

  static onNewDisk(options: Partial<WalOptions> = {}, disk: DiskOptions = {}): World {
    return new World(new SimDisk(disk), options)
  }

  /** What a process finds that is started after this one was killed. */
  afterKill(options: Partial<WalOptions> = {}): World {
    this.disk.die()
    return new World(SimDisk.fromImage(this.disk.image()), { ...this.options, ...options })
  }

  open(): Promise<WriteAheadLog> {
    return this.pump.until(WriteAheadLog.open(this.options, this.parts, listEvents(this.told)), 'open')
  }

  async append(log: WriteAheadLog, count: number): Promise<void> {
    const stream = log.streamOf('', '', 0)
    const bytes = new Uint8Array(ITEM_BYTES)
    for (let n = 0; n < count; n++) {
      bytes.fill(0x20)
      bytes.set(Buffer.from(`item ${log.stream(stream)?.nextPosition}`))
      for (let step = 0; !log.admits(bytes.length); step++) {
        if (step === 2_000) throw new Error(`the log admits nothing: ${this.pump.waitingFor()}`)
        await this.pump.step()
      }
      log.appendItem(stream, bytes, bytes.length)
      const { lastLsn } = log
      log.flush()
      await this.pump.until(log.accepted(lastLsn), `item ${n}`)
    }
  }

  async close(log: WriteAheadLog): Promise<void> {
    await this.pump.until(log.close(), 'close')
  }

  /** Positions that are unsettled, as their bytes say. */
  async items(log: WriteAheadLog): Promise<number[]> {
    const found: number[] = []
    for (const { lsn } of log.entriesOf(log.streamOf('', '', 0))) {
      const body = await this.pump.until(log.read(lsn), `read ${lsn}`)
      for (const text of Buffer.from(body)
        .toString('latin1')
        .match(/item \d+/g) ?? [])
        found.push(Number(text.slice(5)))
    }
    return found
  }

  files(suffix = ''): string[] {
    return this.disk.names
      .children('/wal')
      .filter((name) => name.endsWith(suffix))
      .sort()
  }

  segments(): string[] {
    return this.files('.wal')
  }
}

/** 0..count-1. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at)
}
