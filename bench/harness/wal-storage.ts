/**
 * The disk by itself: how long `fdatasync` takes after one sector's worth, and how fast plain writes are.
 * Why first: figures of a log say nothing without the storage under it (class A, B or C of wal.md 8).
 * The files are written once before, as the log's own segments are: growing files would be another measurement.
 */
import { close, fdatasync, open, unlink, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Latencies } from './latencies.js'
import type { WalMeasurement } from './wal-job.js'

const MIB = 1_024 * 1_024
const SYNCED_BYTES = 4_096
const calls = {
  open: promisify(open),
  write: promisify(write),
  fdatasync: promisify(fdatasync),
  close: promisify(close),
  unlink: promisify(unlink),
}

export async function measureStorage(dir: string, syncs: number, bytes: number): Promise<WalMeasurement> {
  const path = join(dir, 'raw')
  const fd = await calls.open(path, 'wx+', 0o600)
  const startedNs = process.hrtime.bigint()
  const cpuBefore = process.cpuUsage()
  try {
    const block = Buffer.alloc(MIB, 0x78)
    const blocks = Math.ceil(bytes / MIB)
    await writeBlocks(fd, block, blocks)
    await calls.fdatasync(fd)
    const raw = await timed(() => writeBlocks(fd, block, blocks))
    await calls.fdatasync(fd)
    const synced = await timed(() => writeBlocks(fd, block, blocks, true))
    const latencies = await syncLatencies(fd, syncs, blocks * MIB)
    const cpu = process.cpuUsage(cpuBefore)
    return {
      records: syncs,
      bytes: blocks * MIB,
      seconds: Number(process.hrtime.bigint() - startedNs) / 1e9,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      fdatasync: latencies.percentiles(),
      rawBytesPerSecond: (blocks * MIB) / raw,
      rawSyncedBytesPerSecond: (blocks * MIB) / synced,
    }
  } finally {
    await calls.close(fd)
    await calls.unlink(path)
  }
}

async function writeBlocks(fd: number, block: Buffer, blocks: number, syncs = false): Promise<void> {
  for (let at = 0; at < blocks; at++) {
    const { bytesWritten } = await calls.write(fd, block, 0, block.length, at * block.length)
    if (bytesWritten !== block.length) throw new Error(`a write of ${block.length} bytes wrote ${bytesWritten}`)
    if (syncs) await calls.fdatasync(fd)
  }
}

/** One at a time, each after a write of one page: what a waiting producer pays at least. */
async function syncLatencies(fd: number, syncs: number, fileBytes: number): Promise<Latencies> {
  const page = Buffer.alloc(SYNCED_BYTES, 0x79)
  const latencies = new Latencies()
  for (let turn = 0; turn < syncs; turn++) {
    await calls.write(fd, page, 0, page.length, (turn * SYNCED_BYTES) % fileBytes)
    const startedMs = performance.now()
    await calls.fdatasync(fd)
    latencies.note(performance.now() - startedMs)
  }
  return latencies
}

async function timed(task: () => Promise<void>): Promise<number> {
  const startedNs = process.hrtime.bigint()
  await task()
  return Number(process.hrtime.bigint() - startedNs) / 1e9
}
