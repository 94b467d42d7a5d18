/** `ping`: round trips to any broker, until their number is reached or somebody stops it. */
import { ConnectionPool } from '../../index.js'
import { OK } from '../exit-codes.js'
import { pause } from '../io.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { integer } from '../usage.js'

export interface PingFlags extends ClusterFlags {
  readonly count: string
  readonly interval: string
}

const MAX_INTERVAL_MS = 3_600_000

export async function ping(run: Run, _words: readonly string[], flags: PingFlags): Promise<number> {
  const times = integer('-c', flags.count, 0)
  const intervalMs = integer('--interval', flags.interval, 0, MAX_INTERVAL_MS)
  const pool = run.keep(new ConnectionPool(run.settings()))
  const { signal } = run.io
  const trips: number[] = []
  while (!signal.aborted && (times === 0 || trips.length < times)) {
    if (trips.length > 0) await pause(intervalMs, signal)
    if (signal.aborted) break
    const { rttMs, nodeId } = await pool.ping(run.limits)
    trips.push(rttMs)
    await run.out.either({ brokerId: nodeId, rttMs }, [`broker ${nodeId}: ${rttMs.toFixed(3)} ms`])
  }
  if (trips.length > 1) {
    const [least, most] = [Math.min(...trips), Math.max(...trips)]
    const mean = trips.reduce((sum, trip) => sum + trip, 0) / trips.length
    await run.out.summary(
      `${trips.length} round trips: least ${least.toFixed(3)}, mean ${mean.toFixed(3)}, most ${most.toFixed(3)} ms`,
    )
  }
  return OK
}
