/** From the queue's settings to those of its log, and to the log itself. */
import type { QueueSettings } from '../config/index.js'
import type { Clock, Logger } from '../util/index.js'
import { type LogDurability, type Wal, type WalEvents, type WalOptions, WriteAheadLog, walParts } from '../wal/index.js'

/** `settings` has a log: config saw to the directory and the segment size. */
export function logOptions({ durability, dir, walMaxBytes, wal }: QueueSettings): WalOptions {
  return {
    ...wal,
    dir: dir as string,
    owner: 'queue',
    durability: durability as LogDurability,
    maxBytes: walMaxBytes,
  }
}

/** The log of the real file system. */
export function openLog(options: WalOptions, events: WalEvents, clock: Clock, logger: Logger): Promise<Wal> {
  return WriteAheadLog.open(options, walParts(clock, logger), events)
}
