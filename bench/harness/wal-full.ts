/**
 * A log that is full again and again: how soon after room was made it takes records. Positions are compared throughout,
 * so that being full neither loses nor repeats one.
 */
import { Outcome, type Wal } from '../../lib/wal/index.js'
import { Latencies } from './latencies.js'
import type { WalCase, WalMeasurement } from './wal-job.js'
import { Items, openLog } from './wal-log.js'

const MIB = 1_024 * 1_024
const MAX_BYTES = 32 * MIB
const SEGMENT_BYTES = 2 * MIB
/** Of all records, settled each time: more than one segment. */
const FREED = 0.15

export async function measureFull(
  { itemBytes, times }: Extract<WalCase, { readonly kind: 'full' }>,
  dir: string,
): Promise<WalMeasurement> {
  const log = await openLog({ dir, durability: 'os', maxBytes: MAX_BYTES, segmentBytes: SEGMENT_BYTES })
  const stream = log.streamOf('', '', 0)
  const items = new Items(itemBytes)
  const resumes = new Latencies()
  const startedNs = process.hrtime.bigint()
  const cpuBefore = process.cpuUsage()
  let appended = await fill(log, stream, items, 0)
  let settled = 0
  for (let turn = 0; turn < times; turn++) {
    const freed = Math.floor((appended - settled) * FREED)
    const room = new Promise<void>((resolve) => {
      log.onRoom = () => {
        if (!log.admits(itemBytes)) return
        log.onRoom = null
        resolve()
      }
    })
    const startedMs = performance.now()
    log.settle(stream, settled, settled + freed - 1, Outcome.delivered, -1)
    log.flush()
    settled += freed
    await room
    resumes.note(performance.now() - startedMs)
    appended = await fill(log, stream, items, appended)
  }
  const { totalBytes, unsettledRecords } = log.measures()
  if (totalBytes > MAX_BYTES) throw new Error(`the log has ${totalBytes} bytes of at most ${MAX_BYTES}`)
  if (unsettledRecords !== appended - settled) {
    throw new Error(`${appended} appended, ${settled} settled, but ${unsettledRecords} are unsettled`)
  }
  await log.close()
  const cpu = process.cpuUsage(cpuBefore)
  return {
    records: appended,
    bytes: appended * itemBytes,
    seconds: Number(process.hrtime.bigint() - startedNs) / 1e9,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    resume: resumes.percentiles(),
  }
}

/** Appends until the log is full with nothing on its way to the disk; gives the number after the last item. */
function fill(log: Wal, stream: number, items: Items, from: number): Promise<number> {
  const { length } = items
  let next = from
  return new Promise((resolve, reject) => {
    const run = () => {
      try {
        while (log.admits(length)) {
          const position = log.appendItem(stream, items.number(next), length)
          if (position !== next) throw new Error(`item ${next} got position ${position}`)
          next++
        }
      } catch (error) {
        reject(error)
        return
      }
      if (log.acceptedLsn < log.lastLsn || log.measures().pendingBytes > 0) return
      log.onRoom = null
      log.onAccepted = null
      // What has been written may make room a moment later: by a sync, or by a spare that gets ready.
      setTimeout(() => {
        if (log.admits(length)) fill(log, stream, items, next).then(resolve, reject)
        else resolve(next)
      }, 50)
    }
    log.onRoom = run
    log.onAccepted = run
    run()
  })
}
