/**
 * Directories for the commands: written by the real log on the real file system, with real batches, and damaged byte by
 * byte. Small segments, so that a log has several.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../../lib/index.js'
import { silentLogger } from '../../../lib/util/index.js'
import {
  FrameType,
  type FrameView,
  Outcome,
  readFrames,
  survey,
  UNBOUND,
  type Wal,
  type WalEvents,
  type WalOptions,
  WriteAheadLog,
  walParts,
} from '../../../lib/wal/index.js'
import { makeBatch, NOW } from '../../broker/batches.js'

export const SEGMENT_BYTES = 32_768
export const parts = walParts(systemClock, silentLogger)

const NO_EVENTS: WalEvents = {
  degraded: () => {},
  failed: () => {},
  slowSync: () => {},
  full: () => {},
  room: () => {},
  progress: () => {},
}

export function newDirectory(): string {
  const parent = mkdtempSync(join(tmpdir(), 'cli-wal-'))
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }))
  return join(parent, 'log')
}

export function optionsOf(dir: string, more: Partial<WalOptions> = {}): WalOptions {
  return {
    dir,
    owner: 'producer',
    durability: 'immediate',
    maxBytes: 64 * SEGMENT_BYTES,
    segmentBytes: SEGMENT_BYTES,
    syncIntervalMs: 10,
    groupMaxBytes: 4_096,
    groupMaxWaitMs: 0,
    pendingMaxBytes: 65_536,
    unsyncedMaxBytes: 65_536,
    minFreeBytes: 0,
    ackFlushMs: 1,
    onCorruption: 'stop',
    recoveryIndexMaxBytes: 1 << 20,
    spareSegments: 1,
    allowUnsafeDir: false,
    scrub: false,
    ...more,
  }
}

export function openWal(dir: string, more: Partial<WalOptions> = {}): Promise<Wal> {
  return WriteAheadLog.open(optionsOf(dir, more), parts, NO_EVENTS)
}

export interface BatchOptions {
  readonly topic?: string
  readonly partition?: number
  /** Null: unbound. */
  readonly identity?: { readonly producerId: bigint; readonly epoch: number; readonly baseSequence: number } | null
  readonly size?: number
  /** Changes what the log is told, so that it is not what the batch says. */
  readonly lie?: { readonly count?: number; readonly baseSequence?: number }
}

/** Logs one batch of those values, and waits until the disk has it. Gives its LSN. */
export async function append(wal: Wal, values: readonly string[], options: BatchOptions = {}): Promise<number> {
  const { topic = 'orders', partition = 0, identity = null, size = 0, lie = {} } = options
  const padded = values.map((value) => value.padEnd(size, '.'))
  const numbers = identity === null ? {} : { ...identity, producerEpoch: identity.epoch }
  const batch = makeBatch({ values: padded, keys: values.map((value) => `key-${value}`), ...numbers })
  const entry = {
    stream: wal.streamOf(topic, '', partition),
    count: lie.count ?? values.length,
    maxTimestampMs: NOW,
    producerId: identity?.producerId ?? UNBOUND,
    epoch: identity?.epoch ?? -1,
    baseSequence: lie.baseSequence ?? identity?.baseSequence ?? -1,
    part: 0,
    parts: 1,
    originLsn: 0,
    lsn: 0,
    firstPosition: 0,
  }
  while (!wal.admits(batch.length)) {
    await new Promise<void>((resolve) => {
      wal.onRoom = resolve // Segments are made ready beside the writes.
    })
  }
  const lsn = wal.append(entry, batch.subarray(0, 61), batch.subarray(61))
  wal.flush()
  await wal.accepted(lsn)
  return lsn
}

/** A log of three segments: identity 7/0, ten batches of two records, the first settled, the last two unbound. */
export async function makeLog(dir: string, more: { readonly size?: number; readonly isOpen?: boolean } = {}) {
  const wal = await openWal(dir)
  await wal.defineIdentity(7n, 0, 'cluster-a')
  const size = more.size ?? 3_000
  for (let n = 0; n < 10; n++) {
    const identity = n < 8 ? { producerId: 7n, epoch: 0, baseSequence: 2 * n } : null
    await append(wal, [`v${2 * n}`, `v${2 * n + 1}`], { identity, size })
  }
  wal.settle(wal.streamOf('orders', '', 0), 0, 1, Outcome.delivered, 100)
  await wal.sync()
  if (more.isOpen !== true) await wal.close()
  return wal
}

/** As a crash of the process would leave it now: without goodbye, without lock. */
export function crashed(dir: string): string {
  const copy = newDirectory()
  cpSync(dir, copy, { recursive: true })
  return copy
}

export function segmentsOf(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith('.wal'))
    .sort()
}

/** Every file with its bytes: what a command that changes nothing leaves alone. */
export function contentOf(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    names.map(({ name, parentPath }) => [join(parentPath, name), readFileSync(join(parentPath, name)).toString('hex')]),
  )
}

/** Frames of a segment, by type. */
export async function framesOf(dir: string, segment: number, type?: number): Promise<Omit<FrameView, 'body'>[]> {
  const frames: FrameView[] = []
  await readFrames(parts.fs, dir, segment, (frame) => frames.push({ ...frame }))
  return frames.filter((frame) => type === undefined || frame.type === type)
}

export const batchesOf = (dir: string, segment: number) => framesOf(dir, segment, FrameType.batch)

/** Turns one bit of a file over. */
export function flip(dir: string, name: string, at: number): void {
  const bytes = readFileSync(join(dir, name))
  bytes[at] = (bytes[at] as number) ^ 0x10
  writeFileSync(join(dir, name), bytes)
}

/** Bytes of a write that a crash cut short, behind everything that was accepted. */
export async function tear(dir: string): Promise<void> {
  const name = segmentsOf(dir).at(-1) as string
  const { segments } = await survey(parts.fs, dir, {
    bootId: parts.host.bootId,
    verifyBodies: true,
    indexMaxBytes: 1 << 20,
  })
  const at = Math.ceil((segments.at(-1)?.end ?? 0) / 512) * 512
  const bytes = readFileSync(join(dir, name))
  bytes.fill(0xab, at, at + 512)
  writeFileSync(join(dir, name), bytes)
}
