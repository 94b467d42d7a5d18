/** The log on the real file system. */
import type { Clock, Logger } from '../../util/index.js'
import { WriteAheadLog, walParts } from '../../wal/index.js'
import type { OpenWal } from './log-life.js'

export function openRealWal(clock: Clock, logger: Logger): OpenWal {
  return (options, events) => WriteAheadLog.open(options, walParts(clock, logger), events)
}
