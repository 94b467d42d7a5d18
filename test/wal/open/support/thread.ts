/** Opens the log of a directory in a worker thread and keeps it: posts what came of it. */
import { parentPort, workerData } from 'node:worker_threads'
import type { MQError } from '../../../../lib/errors/index.js'
import { silentLogger, systemClock } from '../../../../lib/util/index.js'
import { type WalOptions, WriteAheadLog, walParts } from '../../../../lib/wal/index.js'
import { listEvents } from '../../../support/wal-sim/index.js'

try {
  const log = await WriteAheadLog.open(workerData as WalOptions, walParts(systemClock, silentLogger), listEvents([]))
  parentPort?.postMessage('opened')
  parentPort?.once('message', () => {
    void log.close().then(() => parentPort?.postMessage('closed'))
  })
} catch (error) {
  parentPort?.postMessage(String((error as MQError).context?.reason ?? error))
}
