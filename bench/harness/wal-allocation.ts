/**
 * What an append leaves on the heap. Run with a young generation so large that hardly anything is collected meanwhile, so the
 * growth of the heap is everything that was allocated. Group buffers lie outside of the heap and may bring a collection
 * about all the same: the stretch it falls into is left out, and at least half of them must be left.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { ALLOCATION_FLAGS, type WalCase, type WalMeasurement } from './wal-job.js'
import { appendAll, Items, openLog } from './wal-log.js'

const WARM_UP_RECORDS = 300_000
const STRETCHES = 20

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
  const collections: number[] = []
  const observer = new PerformanceObserver((list) => {
    for (const { startTime } of list.getEntries()) collections.push(startTime)
  })
  await sleep(10)
  observer.observe({ entryTypes: ['gc'] })
  const startedNs = process.hrtime.bigint()
  const cpuBefore = process.cpuUsage()
  const stretches: { readonly fromMs: number; readonly toMs: number; readonly grown: number }[] = []
  const perStretch = Math.floor(records / STRETCHES)
  for (let turn = 0; turn < STRETCHES; turn++) {
    const from = WARM_UP_RECORDS + turn * perStretch
    const fromMs = performance.now()
    const before = process.memoryUsage().heapUsed
    await appendAll(log, itemBytes, from, from + perStretch, append)
    stretches.push({ fromMs, toMs: performance.now(), grown: process.memoryUsage().heapUsed - before })
  }
  const cpu = process.cpuUsage(cpuBefore)
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
  await sleep(10)
  observer.disconnect()
  const clean = stretches.filter(({ fromMs, toMs }) => !collections.some((at) => at >= fromMs && at <= toMs))
  if (clean.length < STRETCHES / 2) throw new Error(`${collections.length} collections ran: the growth says nothing`)
  const grown = clean.reduce((sum, stretch) => sum + stretch.grown, 0) / (clean.length * perStretch)
  await log.close()
  return {
    records: STRETCHES * perStretch,
    bytes: STRETCHES * perStretch * itemBytes,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    bytesPerRecord: grown,
  }
}
