/** The world around a log under test: a clock that stands still, chance from a seed, a machine that may boot again. */

import {
  FakeClock,
  type Logger,
  type RandomSource,
  randomInt,
  seededRandom,
  silentLogger,
} from '../../../lib/util/index.js'
import type { HostFacts, WalEvents, WalOptions, WalParts } from '../../../lib/wal/index.js'
import type { SimDisk } from './disk.js'

export const WAL_DIR = '/wal'

export interface SimParts extends WalParts {
  readonly clock: FakeClock
  readonly random: RandomSource
}

/** Logs a line into an array, so that a failing test can show it. */
export function listLogger(lines: string[]): Logger {
  const at = (level: string) => (message: string, context?: object) => {
    lines.push(`${level}: ${message}${context === undefined ? '' : ` ${JSON.stringify(context, asText)}`}`)
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export function simParts(
  disk: SimDisk,
  seed: number,
  more: { readonly bootId?: string; readonly pid?: number; readonly clock?: FakeClock; readonly logger?: Logger } = {},
): SimParts {
  const random = seededRandom(seed)
  const host: HostFacts = {
    pid: more.pid ?? 100,
    host: 'simulated',
    bootId: more.bootId ?? 'boot-1',
    userId: disk.userId,
    version: '0.0.0',
  }
  const randomBytes = (into: Uint8Array) => {
    for (let at = 0; at < into.length; at++) into[at] = randomInt(random, 256)
  }
  return {
    fs: disk,
    clock: more.clock ?? new FakeClock(),
    randomBytes,
    host,
    logger: more.logger ?? silentLogger,
    random,
  }
}

/** Small segments and short waits, so that a few dozen records rotate, recycle and reclaim. */
export function simOptions(more: Partial<WalOptions> = {}): WalOptions {
  return {
    dir: WAL_DIR,
    owner: 'producer',
    durability: 'immediate',
    maxBytes: 16 * 16_384,
    segmentBytes: 16_384,
    syncIntervalMs: 10,
    groupMaxBytes: 4096,
    groupMaxWaitMs: 0,
    pendingMaxBytes: 65_536,
    unsyncedMaxBytes: 65_536,
    minFreeBytes: 0,
    ackFlushMs: 5,
    onCorruption: 'stop',
    recoveryIndexMaxBytes: 2 ** 26,
    spareSegments: 2,
    allowUnsafeDir: false,
    scrub: false,
    ...more,
  }
}

export type Told = { readonly event: keyof WalEvents; readonly value: unknown }

/** Events as a list, in the order they were told. */
export function listEvents(told: Told[]): WalEvents {
  const tell = (event: keyof WalEvents) => (value?: unknown) => {
    told.push({ event, value })
  }
  return {
    degraded: tell('degraded'),
    failed: tell('failed'),
    slowSync: tell('slowSync'),
    full: tell('full'),
    room: tell('room'),
    progress: tell('progress'),
  }
}

function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
