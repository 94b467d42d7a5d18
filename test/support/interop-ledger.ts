/**
 * Sends through one producer and remembers, per partition, what was sent and what was answered: the sender's half of what the
 * oracle compares. The other half, the log, comes from a reader that is not ours.
 */
import { expect } from 'vitest'
import type { MQError, Producer } from '../../lib/index.js'
import type { ReadRecord } from './interop-records.js'
import { expectFaithful, type LaneHistory, type Outcome, type Scene } from './oracle.js'

const WAIT_LIMIT_MS = 60_000

export class Ledger {
  readonly #producer: Producer
  readonly #topic: string
  readonly #lanes = new Map<number, { id: string; content: string; outcome: Outcome; offset: number }[]>()
  #count = 0
  #acknowledged = 0
  #firstError = 'none'
  #watch: () => void = () => {}

  constructor(producer: Producer, topic: string) {
    this.#producer = producer
    this.#topic = topic
  }

  /** Sends one record, waits only when told to. */
  async send(partition: number, padding = ''): Promise<void> {
    const id = `${partition}-${this.#count++}`
    const content = `${id} ${padding}`
    const record = { id, content, outcome: 'pending' as Outcome, offset: -1 }
    const lane = this.#lanes.get(partition)
    if (lane === undefined) this.#lanes.set(partition, [record])
    else lane.push(record)
    const hasRoom = this.#producer.sendAsync(this.#topic, content, { partition }, (error, metadata) => {
      record.outcome = error === null ? 'acknowledged' : persistenceOf(error)
      record.offset = metadata?.offset ?? -1
      if (error === null) this.#acknowledged++
      else if (this.#firstError === 'none') this.#firstError = String(error)
      this.#watch()
    })
    if (!hasRoom) await this.#producer.ready()
  }

  /** A steady stream until stopped: each millisecond `burst` records to every partition. */
  keepSending(
    partitions: number,
    padding: () => string = () => '',
    burst = 1,
  ): { stop: () => void; done: Promise<void> } {
    let stopped = false
    const loop = async () => {
      while (!stopped) {
        for (let index = 0; index < burst * partitions; index++) await this.send(index % partitions, padding())
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    }
    return {
      stop: () => {
        stopped = true
      },
      done: loop(),
    }
  }

  /** Rejects with what became of the records when the limit passes first. */
  untilAcknowledged(count: number, limitMs = WAIT_LIMIT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const story = () =>
        `${this.#acknowledged} of ${count} records acknowledged within ${limitMs} ms: ${JSON.stringify(this.outcomes())}, first error: ${this.#firstError}`
      const timer = setTimeout(() => reject(new Error(story())), limitMs)
      this.#watch = () => {
        if (this.#acknowledged < count) return
        clearTimeout(timer)
        resolve()
      }
      this.#watch()
    })
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  outcomes(): Partial<Record<Outcome, number>> {
    const counts: Partial<Record<Outcome, number>> = {}
    for (const { outcome } of [...this.#lanes.values()].flat()) counts[outcome] = (counts[outcome] ?? 0) + 1
    return counts
  }

  judge(log: readonly ReadRecord[], scene: Scene = {}): void {
    const histories: LaneHistory[] = [...this.#lanes].map(([partition, sent]) => ({
      topic: this.#topic,
      partition,
      sent,
      log: log
        .filter((record) => record.partition === partition)
        .map(({ offset, value }) => ({ offset, id: String(value).split(' ')[0] ?? '', content: String(value) })),
    }))
    const file = expect.getState().testPath?.replace(/^.*(?=test.integration)/, '') ?? ''
    expectFaithful(histories, { replay: `npx vitest run -c vitest.integration.config.ts ${file}`, ...scene })
  }
}

function persistenceOf(error: MQError): Outcome {
  return error.context.persistence === 'not-persisted' ? 'not-persisted' : 'possibly-persisted'
}
