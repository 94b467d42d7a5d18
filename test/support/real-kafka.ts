/**
 * What an integration test needs of a real Kafka: its address, fresh topics, and every independent reader over them.
 * Invariant: a topic name is never used twice, so tests on a warm cluster do not see each other.
 */
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { describe, inject } from 'vitest'
import { type DumpedBatch, dumpLog, readWithJava } from './interop-java.js'
import { createTopicNamed, readWithKafkajs } from './interop-kafkajs.js'
import { hasKcat, readWithKcat } from './interop-kcat.js'
import type { ReadRecord } from './interop-records.js'
import {
  fromEnvironmentLines,
  newStateFolder,
  type RealKafka,
  kafka as runKafka,
  kafkaMeanwhile as runKafkaMeanwhile,
} from './interop-setup.js'

const kafka = inject('realKafka')

export const sharedKafka: RealKafka = kafka

export const brokers: readonly string[] = kafka.brokers
/** Folder of the Kafka jars, for Java tools; null without them. */
export const jarFolder: string | null = kafka.jarFolder
export const bootstrap: string = kafka.brokers.join(',')

/** `describe` for tests that need a Kafka; without one they are skipped and the title says why. */
export function describeWithKafka(title: string, body: () => void): void {
  if (kafka.absent === null) describe(title, body)
  else describe.skip(`${title} (no Kafka: ${kafka.absent.split('\n')[0]})`, body)
}

export interface TopicWish {
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
}

/** Creates a topic that nobody else uses; returns its name. */
export async function createTopic(prefix: string, wish: TopicWish = {}): Promise<string> {
  const topic = `${prefix}-${randomUUID().slice(0, 8)}`
  await createTopicNamed(brokers, topic, wish.partitions ?? 1, wish.configs)
  return topic
}

export interface Reader {
  readonly name: 'kafkajs' | 'kcat' | 'java'
  /** Why this reader cannot be asked here; null when it can. */
  readonly absent: string | null
  /** False where the reader gives headers grouped by name. */
  readonly keepsHeaderOrder: boolean
  read(topic: string): Promise<ReadRecord[]>
}

export const READERS: readonly Reader[] = [
  { name: 'kafkajs', absent: null, keepsHeaderOrder: false, read: (topic) => readWithKafkajs(brokers, topic) },
  {
    name: 'kcat',
    absent: hasKcat ? null : 'kcat is not installed',
    keepsHeaderOrder: true,
    read: (topic) => readWithKcat(brokers, topic),
  },
  {
    name: 'java',
    absent: kafka.jarFolder === null ? 'no Kafka jars' : null,
    keepsHeaderOrder: true,
    read: (topic) => readWithJava(brokers, kafka.jarFolder ?? '', topic),
  },
]

/** Why the broker's files cannot be looked at; null when they can. */
export const dumpAbsent: string | null =
  kafka.jarFolder === null || kafka.dataFolder === null ? 'the data folder of this Kafka is not known' : null

export function dumpPartition(topic: string, partition: number): Promise<DumpedBatch[]> {
  return dumpLog(kafka.jarFolder ?? '', kafka.dataFolder ?? '', topic, partition)
}

export interface OwnKafka extends RealKafka {
  stop(): void
}

/** A node of our own with special settings; the caller stops it. */
export function startOwnKafka(settings: Readonly<Record<string, string>>): OwnKafka {
  const stateFolder = newStateFolder()
  const stop = () => {
    runKafka(['down'], stateFolder)
    rmSync(stateFolder, { recursive: true, force: true })
  }
  try {
    runKafka(
      ['up', '1', ...Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])],
      stateFolder,
    )
    return { ...fromEnvironmentLines(runKafka(['env'], stateFolder), stateFolder), stop }
  } catch (error) {
    stop()
    throw error
  }
}

/** Stops (cleanly or by kill -9) and starts the only node of a Kafka that is ours; the event loop goes on meanwhile. */
export async function restartNode(
  own: RealKafka,
  kind: 'clean' | 'kill',
  whileDown: () => void = () => {},
): Promise<void> {
  if (own.stateFolder === null) throw new Error('this Kafka belongs to somebody else and is not restarted')
  await runKafkaMeanwhile([kind === 'kill' ? 'kill' : 'stop', '1'], own.stateFolder)
  whileDown()
  await runKafkaMeanwhile(['start', '1'], own.stateFolder)
}
