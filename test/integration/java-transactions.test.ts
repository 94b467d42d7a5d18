/**
 * C-10, C-11, C-38: groups beside the transactions of four Java producers, committed, aborted and open, interleaved over
 * partitions by a seed. Under read_committed our consumer gives record for record what Java's does, in the same places;
 * under read_uncommitted all that was sent.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { ConsumerStage, type Heard } from '../support/consumer-stage.js'
import { eventually } from '../support/eventually.js'
import { bootstrap, brokers, createTopic, describeWithKafka, jarFolder } from '../support/real-kafka.js'

const PROGRAM = fileURLToPath(new URL('../support/JavaTransactions.java', import.meta.url))
const PARTITIONS = 3
const STEPS = 400
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 1e6))
const LIMIT_MS = 60_000

/** What the Java program has said, by its first word. */
class Java {
  readonly sent: string[] = []
  /** By its read_committed consumer, last time. */
  committed: string[] = []
  ends: number[] = []
  isOpen = false
  isClosed = false
  errors = ''
  readonly #process: ChildProcessWithoutNullStreams

  constructor(topic: string) {
    const flags = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jarFolder ?? '', '*')]
    const args = [PROGRAM, bootstrap, topic, PARTITIONS, SEED, STEPS].map(String)
    this.#process = spawn('java', [...flags, ...args])
    createInterface(this.#process.stdout).on('line', (line) => this.#hear(line, topic))
    this.#process.stderr.on('data', (bytes) => {
      this.errors = `${this.errors}${bytes}`.slice(-2_000)
    })
  }

  /** Its open transaction is committed, and everything read once more. */
  commit(): void {
    this.committed = []
    this.ends = []
    this.#process.stdin.end('commit\n')
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  #hear(line: string, topic: string): void {
    const [what, partition, offset, ...value] = line.split(' ')
    const place = `${topic}/${partition}@${offset} ${value.join(' ')}`
    if (what === 'sent') this.sent.push(place)
    else if (what === 'committed') this.committed.push(place)
    else if (what === 'end') this.ends.push(Number(offset))
    else if (what === 'open') this.isOpen = true
    else if (what === 'closed') this.isClosed = true
  }
}

describeWithKafka('beside the transactions of Java', () => {
  const stage = new ConsumerStage(brokers)
  let java: Java | undefined
  afterEach(async () => {
    await java?.end()
    await stage.close()
  })

  it.skipIf(jarFolder === null).each(['classic', 'consumer'] as const)(
    `C-10, C-11, C-38: %s: what Java's consumer reads, we read (seed ${SEED})`,
    async (groupProtocol) => {
      const topic = await createTopic('java-transactions', { partitions: PARTITIONS })
      const member = (isolationLevel: 'read_committed' | 'read_uncommitted') =>
        stage.heard({ groupId: `${topic}-${isolationLevel}`, groupProtocol, isolationLevel, metadataMaxAgeMs: 1_000 })
      const [committed, uncommitted] = [member('read_committed'), member('read_uncommitted')]
      await committed.consumer.subscribe(topic, committed.take)
      await uncommitted.consumer.subscribe(topic, uncommitted.take)
      java = new Java(topic)
      const errors = () => java?.errors ?? ''
      await eventually('one is open', () => java?.isOpen === true, LIMIT_MS, errors)
      await sameAs(java, committed)
      await uncommitted.until('all that was sent', () => uncommitted.values.length >= (java?.sent.length ?? 0))
      expect(placed(uncommitted)).toEqual([...java.sent].sort())
      expect(java.sent.length - java.committed.length).toBeGreaterThan(100) // aborted, open, or behind what is open
      java.commit()
      await eventually('it is closed', () => java?.isClosed === true, LIMIT_MS, errors)
      await sameAs(java, committed)
      expect(placed(uncommitted)).toEqual([...java.sent].sort())
      expect([committed.errors, uncommitted.errors]).toEqual([[], []])
      // From the beginning, over what is final now: the lists of aborted transactions come with other answers.
      const late = stage.heard({
        groupId: `${topic}-late`,
        isolationLevel: 'read_committed',
        maxPartitionFetchBytes: 600,
      })
      await late.consumer.subscribe(topic, late.take)
      await sameAs(java, late)
    },
  )

  /** The same records in the same order, and a position and lag that know the last stable offset. */
  async function sameAs(other: Java, heard: Heard): Promise<void> {
    const topic = heard.consumer.assignment[0]?.topic ?? ''
    const position = (partition: number) => heard.consumer.position({ topic, partition })
    const isThere = () => other.ends.every((end, partition) => position(partition) >= end)
    await heard.until('it is at the last stable offset', isThere)
    await heard.until('the lag is told', () => heard.consumer.getMetrics().lag === 0)
    expect(other.ends.map((_, partition) => position(partition))).toEqual(other.ends)
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const of = (places: readonly string[]) => places.filter((place) => place.startsWith(`${topic}/${partition}@`))
      expect(of(inOrder(heard))).toEqual(of(other.committed))
    }
  }
})

const inOrder = ({ places, values }: Heard) => places.map((place, at) => `${place} ${values[at]}`)
const placed = (heard: Heard) => inOrder(heard).sort()
