/**
 * One run of the log benchmark in a process of its own. Talks by IPC: gets one WalJob, answers one measurement, ends.
 * Invariant: a measurement leaves only when every unsettled record was read back and compared (except where the case is
 * about records that are settled).
 */

import { type AppendedEntry, type LogDurability, UNBOUND, type Wal } from '../../lib/wal/index.js'
import { Latencies } from './latencies.js'
import { measureAllocation } from './wal-allocation.js'
import { measureFull } from './wal-full.js'
import type { LogCase, WalJob, WalMeasurement } from './wal-job.js'
import { appendAll, Items, openLog, readBack } from './wal-log.js'
import { measureLoop, measureOffered } from './wal-offered.js'
import { measureStorage } from './wal-storage.js'

/** Of a RecordBatch v2: a sealed batch comes to the log as header and records. */
const BATCH_HEADER_BYTES = 61

process.once('message', (job: WalJob) => {
  run(job).then(
    (measurement) => process.send?.({ measurement }, () => end(job.what)),
    (error: unknown) =>
      process.send?.({ failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }, () =>
        process.exit(1),
      ),
  )
})

/** Who leaves a log behind dies without a word. */
function end({ kind }: LogCase): void {
  if (kind === 'leave') process.kill(process.pid, 'SIGKILL')
  else process.exit(0)
}

function run({ what, dir }: WalJob): Promise<WalMeasurement> {
  if (what.kind === 'storage') return measureStorage(dir, what.syncs, what.bytes)
  if (what.kind === 'append') return append(what, dir)
  if (what.kind === 'sealed') return sealed(what, dir)
  if (what.kind === 'waiting') return waiting(what, dir)
  if (what.kind === 'offered') return measureOffered(what, dir)
  if (what.kind === 'loop') return measureLoop(what, dir)
  if (what.kind === 'leave') return leave(what, dir)
  if (what.kind === 'scan') return scan(what, dir)
  if (what.kind === 'full') return measureFull(what, dir)
  return measureAllocation(what, dir)
}

type Of<K extends LogCase['kind']> = Extract<LogCase, { readonly kind: K }>

async function append({ durability, itemBytes, records, syncIntervalMs }: Of<'append'>, dir: string) {
  const log = await openLog({ dir, durability, syncIntervalMs, readyBytes: 1.1 * records * itemBytes })
  const stream = log.streamOf('', '', 0)
  const items = new Items(itemBytes)
  const measured = await timed(log, () =>
    appendAll(log, itemBytes, 0, records, (number) => log.appendItem(stream, items.number(number), itemBytes)),
  )
  const bytes = records * itemBytes
  return {
    ...measured,
    fullSpeed: speedOf(durability),
    records,
    bytes,
    readBack: await checked(log, stream, itemBytes, records),
  }
}

async function sealed({ durability, batchBytes, batches }: Of<'sealed'>, dir: string): Promise<WalMeasurement> {
  const log = await openLog({ dir, durability, readyBytes: 1.1 * batches * batchBytes })
  const stream = log.streamOf('bench', '', 0)
  const head = Buffer.alloc(BATCH_HEADER_BYTES, 1)
  const body = new Items(batchBytes - BATCH_HEADER_BYTES)
  // About one record per 100 B.
  const count = Math.max(1, Math.round(batchBytes / 100))
  const entry: AppendedEntry = {
    stream,
    count,
    maxTimestampMs: 1,
    producerId: UNBOUND,
    epoch: -1,
    baseSequence: -1,
    part: 0,
    parts: 1,
    originLsn: 0,
    lsn: 0,
    firstPosition: 0,
  }
  const measured = await timed(log, () =>
    appendAll(log, batchBytes, 0, batches, (number) => log.append({ ...entry }, head, body.number(number))),
  )
  const records = batches * count
  return {
    ...measured,
    fullSpeed: speedOf(durability),
    records,
    bytes: batches * batchBytes,
    readBack: (await checkedBatches(log, stream, body)) * count,
  }
}

const speedOf = (durability: LogDurability): 'plain' | 'synced' => (durability === 'immediate' ? 'synced' : 'plain')

async function checkedBatches(log: Wal, stream: number, body: Items): Promise<number> {
  let number = 0
  for (const { lsn } of log.entriesOf(stream)) {
    const bytes = await log.read(lsn)
    const isSame =
      bytes.length === BATCH_HEADER_BYTES + body.length && body.number(number).compare(bytes, BATCH_HEADER_BYTES) === 0
    if (!isSame) throw new Error(`batch ${number} of LSN ${lsn} came back as other bytes, ${bytes.length} of them`)
    number++
  }
  await log.close()
  return number
}

async function waiting({ durability, itemBytes, records }: Of<'waiting'>, dir: string): Promise<WalMeasurement> {
  const log = await openLog({ dir, durability })
  const stream = log.streamOf('', '', 0)
  const items = new Items(itemBytes)
  const latencies = new Latencies()
  const measured = await timed(log, async () => {
    for (let number = 0; number < records; number++) {
      const startedMs = performance.now()
      log.appendItem(stream, items.number(number), itemBytes)
      await log.accepted(log.lastLsn)
      latencies.note(performance.now() - startedMs)
    }
  })
  const accept = latencies.percentiles()
  const bytes = records * itemBytes
  return { ...measured, records, bytes, accept, readBack: await checked(log, stream, itemBytes, records) }
}

async function leave({ itemBytes, records }: Of<'leave'>, dir: string): Promise<WalMeasurement> {
  const log = await openLog({ dir, durability: 'os', maxBytes: roomFor(records, itemBytes) })
  const stream = log.streamOf('', '', 0)
  const items = new Items(itemBytes)
  const measured = await timed(log, () =>
    appendAll(log, itemBytes, 0, records, (number) => log.appendItem(stream, items.number(number), itemBytes)),
  )
  return { ...measured, records, bytes: records * itemBytes }
}

async function scan({ itemBytes, records, reads }: Of<'scan'>, dir: string): Promise<WalMeasurement> {
  const cpuBefore = process.cpuUsage()
  const startedNs = process.hrtime.bigint()
  const log = await openLog({ dir, durability: 'os', maxBytes: roomFor(records, itemBytes) })
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
  const cpu = process.cpuUsage(cpuBefore)
  const peakRssBytes = process.resourceUsage().maxRSS * 1_024
  const { recovered } = log
  if (recovered.records !== records) throw new Error(`${records} records were left, ${recovered.records} recovered`)
  const stream = log.streamOf('', '', 0)
  const found = reads ? await checked(log, stream, itemBytes, records) : 0
  if (!reads) await log.close()
  return {
    records,
    bytes: recovered.scannedBytes,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    scanMs: recovered.scanMs,
    scannedBytes: recovered.scannedBytes,
    peakRssBytes,
    readBack: found,
  }
}

const roomFor = (records: number, itemBytes: number) => Math.max(2 ** 32, 2 * records * (itemBytes + 8))

async function timed(
  log: Wal,
  task: () => Promise<void>,
): Promise<Pick<WalMeasurement, 'seconds' | 'cpuSeconds' | 'fdatasyncs' | 'groups'>> {
  const before = log.measures()
  const cpuBefore = process.cpuUsage()
  const startedNs = process.hrtime.bigint()
  await task()
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
  const cpu = process.cpuUsage(cpuBefore)
  const after = log.measures()
  return {
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    fdatasyncs: after.fdatasyncs - before.fdatasyncs,
    groups: after.groups - before.groups,
  }
}

async function checked(log: Wal, stream: number, itemBytes: number, records: number): Promise<number> {
  const found = await readBack(log, stream, itemBytes)
  await log.close()
  if (found !== records) throw new Error(`${records} records were accepted, ${found} came back`)
  return found
}
