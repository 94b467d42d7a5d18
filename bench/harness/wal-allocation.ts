/**
 * What an append leaves on the heap. Run with a young generation so large that nothing is collected meanwhile, so the
 * growth of the heap is everything that was allocated; a collection voids the run.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { ALLOCATION_FLAGS, type WalCase, type WalMeasurement } from './wal-job.js'
import { appendAll, Items, openLog } from './wal-log.js'

const WARM_UP_RECORDS = 300_000

export async function measureAllocation(
  { durability, itemBytes, records }: Extract<WalCase, { readonly kind: 'allocation' }>,
  dir: string,
): Promise<WalMeasurement> {
  const collect = (globalThis as { gc?: () => void }).gc
  if (collect === undefined) throw new Error(`the process needs ${ALLOCATION_FLAGS.join(' ')}`)
  const log = await openLog({ dir, durability })
  const stream = log.streamOf('', '', 0)
  const items = new Items(itemBytes)
  const append = (number: number) => {
    log.appendItem(stream, items.number(number), itemBytes)
  }
  await appendAll(log, itemBytes, 0, WARM_UP_RECORDS, append)
  await sleep(200) // spares are made ready
  collect()
  let collections = 0
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length
  })
  await sleep(10)
  observer.observe({ entryTypes: ['gc'] })
  const startedNs = process.hrtime.bigint()
  const cpuBefore = process.cpuUsage()
  const before = process.memoryUsage().heapUsed
  await appendAll(log, itemBytes, WARM_UP_RECORDS, WARM_UP_RECORDS + records, append)
  const grown = process.memoryUsage().heapUsed - before
  const cpu = process.cpuUsage(cpuBefore)
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
  await sleep(10)
  observer.disconnect()
  if (collections > 0) throw new Error(`${collections} collections ran: the growth says nothing`)
  await log.close()
  return {
    records,
    bytes: records * itemBytes,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    bytesPerRecord: grown / records,
  }
}
