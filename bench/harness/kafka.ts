/**
 * The Kafka of a benchmark: started here unless an address is given, with a fresh topic per run that is deleted after it.
 * Invariant: what was started is stopped, and a run counts only if the log holds exactly the records that were sent.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import kafkajs, { type Admin } from 'kafkajs'

const SCRIPT = fileURLToPath(new URL('../../scripts/kafka', import.meta.url))
/** Of the kernel's process statistics; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const LEADERS_LIMIT_MS = 20_000

export interface BenchKafka {
  readonly brokers: readonly string[]
  createTopic(topic: string, partitions: number): Promise<void>
  /** Records in the topic, from the end offsets of its partitions. */
  countRecords(topic: string): Promise<number>
  deleteTopics(topics: readonly string[]): Promise<void>
  /** CPU time the broker has used so far; null when it is not ours. */
  brokerCpuSeconds(): number | null
  stop(): Promise<void>
}

export async function openKafka(given: readonly string[] | null): Promise<BenchKafka> {
  const own = given === null ? startOwn() : null
  const brokers = given ?? own?.brokers ?? []
  const client = new kafkajs.Kafka({
    clientId: 'bench-admin',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const admin = client.admin()
  try {
    await admin.connect()
  } catch (error) {
    own?.stop()
    throw error
  }
  return {
    brokers,
    createTopic: (topic, numPartitions) => create(admin, topic, numPartitions),
    countRecords: async (topic) =>
      sum((await admin.fetchTopicOffsets(topic)).map(({ high, low }) => Number(high) - Number(low))),
    deleteTopics: (topics) => admin.deleteTopics({ topics: [...topics] }),
    brokerCpuSeconds: () => (own === null ? null : cpuSecondsOf(own.pid)),
    stop: async () => {
      await admin.disconnect()
      own?.stop()
    },
  }
}

/** kafkajs' own `waitForLeaders` fails now and then, when the asked broker has not heard of the topic yet. */
async function create(admin: Admin, topic: string, numPartitions: number): Promise<void> {
  await admin.createTopics({ waitForLeaders: false, topics: [{ topic, numPartitions, replicationFactor: 1 }] })
  const deadlineMs = Date.now() + LEADERS_LIMIT_MS
  while (!(await hasLeaders(admin, topic, numPartitions))) {
    if (Date.now() > deadlineMs) throw new Error(`${topic} has no leaders ${LEADERS_LIMIT_MS} ms after its creation`)
    await sleep(20)
  }
}

async function hasLeaders(admin: Admin, topic: string, partitions: number): Promise<boolean> {
  try {
    const found = (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]?.partitions ?? []
    if (found.length !== partitions || found.some(({ leader }) => leader < 0)) return false
    return (await admin.fetchTopicOffsets(topic)).length === partitions // a leader may be named before it leads
  } catch {
    return false
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

function startOwn(): { brokers: string[]; pid: number; stop: () => void } {
  const state = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
  const kafka = (command: string) =>
    execFileSync(process.execPath, [SCRIPT, command], {
      env: { ...process.env, KAFKA_STATE: state, KAFKA_DATA: state },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  const stop = () => {
    kafka('down')
    rmSync(state, { recursive: true, force: true })
  }
  try {
    kafka('up')
  } catch {
    stop()
    throw new Error('no Kafka to measure with: see above, or name one with --brokers')
  }
  const lines = kafka('env')
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(lines)?.[1] ?? ''
  const pid = Number(readFileSync(join(value('KAFKA_DATA_FOLDER'), 'node1.pid'), 'utf8'))
  return { brokers: value('KAFKA_BROKERS').split(','), pid, stop }
}

function cpuSecondsOf(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND // utime, stime
  } catch {
    return null
  }
}
