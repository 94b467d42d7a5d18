/** Producers with a log on a directory of their own, and what a crash leaves of it. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Broker } from '../../../lib/broker/index.js'
import type { ProducerConfig, WalSettings } from '../../../lib/config/index.js'
import type { Producer, ProducerDeps } from '../../../lib/producer/index.js'
import { newProducer } from '../support.js'

export function newDirectory(): string {
  const parent = mkdtempSync(join(tmpdir(), 'tandem-log-'))
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }))
  return join(parent, 'log')
}

export interface LoggedOptions extends Omit<ProducerConfig, 'wal'> {
  readonly wal?: Partial<WalSettings>
}

/** Small files, so that a test meets their ends. */
export function loggedProducer(
  broker: Broker,
  dir: string,
  { wal = {}, ...config }: LoggedOptions = {},
  deps: ProducerDeps = {},
): Producer {
  const settings = {
    durability: 'immediate',
    maxBytes: 16 * 1024 * 1024,
    minFreeBytes: 1024 * 1024,
    ...wal,
    dir,
  } as const
  return newProducer(broker, { maxBatchBytes: 262_144, ...config, wal: settings }, deps)
}

/**
 * The directory as a crash of the process would leave it now: what `write` returned for is there, and the lock is not
 * held. The producer that goes on does so on files nobody will look at again.
 */
export function crashed(dir: string): string {
  const copy = newDirectory()
  // A spare that is being made is renamed while we copy, and is nothing of the log yet.
  cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('.tmp') })
  return copy
}

/** Values of every partition, in log order. */
export async function valuesOf(broker: Broker, topic: string, partitions = 1): Promise<string[][]> {
  const all: string[][] = []
  for (let partition = 0; partition < partitions; partition++) {
    const records = await broker.records(topic, partition)
    all.push(records.map(({ value }) => (value === null ? '' : Buffer.from(value).toString())))
  }
  return all
}

export const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => String(from + index))
