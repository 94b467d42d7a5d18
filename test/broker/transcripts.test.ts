/**
 * Replays the conversations recorded with a real Apache Kafka 4.1.1 broker (F-1): each request goes over a socket as it
 * was recorded, each answer must be the recorded one, byte for byte; only texts of errors are the broker's own.
 */
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import { DescribeProducers, decodeResponse, encodeResponse, ListOffsets, Produce } from '../../lib/protocol/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { vectors } from '../support/vectors.js'
import { RawClient } from './raw-client.js'

interface Step {
  readonly op: string
  readonly label?: string
  readonly topic: string
  readonly partition: number
  readonly partitions: number
  readonly configs: Record<string, string>
  readonly topicId: string
  readonly version: number
  readonly batches: readonly { readonly timestamp?: string }[]
  readonly request: string
  readonly response: string | null
  readonly expect: { readonly logAppendTimeMs?: string } | string
  readonly kind: 'clean' | 'kill'
  readonly ms: number
}
interface Scenario {
  readonly id: string
  readonly title: string
  readonly broker: Record<string, string>
  readonly steps: readonly Step[]
}

const transcripts = vectors('idempotence-transcripts.json') as
  | { recordedAtMs: string | number; recordedOrder: string[]; scenarios: Scenario[] }
  | undefined

const TEN_MINUTES_MS = 600_000
const TWO_DAYS_MS = 172_800_000
const HALF_HOUR_MS = 1_800_000
const DAY_MS = 86_400_000
const BROKER = 1

class Replay {
  readonly clock = new FakeClock(Number(transcripts?.recordedAtMs))
  readonly logAppendTopics = new Set<string>()
  broker!: Broker
  #client: RawClient | null = null

  static async start(config: Record<string, string>): Promise<Replay> {
    const replay = new Replay()
    replay.broker = await createBroker({ clock: replay.clock, config })
    return replay
  }

  async client(): Promise<RawClient> {
    if (this.#client === null || this.#client.isClosed) this.#client = await RawClient.connect(this.broker.bootstrap)
    return this.#client
  }

  async close(): Promise<void> {
    this.#client?.close()
    await this.broker.close()
  }

  async run(step: Step): Promise<void> {
    const client = await this.client()
    switch (step.op) {
      case 'createTopic':
        if (step.configs['message.timestamp.type'] === 'LogAppendTime') this.logAppendTopics.add(step.topic)
        this.broker.createTopic(step.topic, step)
        break
      case 'deleteTopic':
        this.broker.deleteTopic(step.topic)
        break
      case 'produce':
        this.#moveClock(step)
        await this.#exchange(client, step, (hex) => withoutTexts(hex, step.version))
        break
      case 'describeProducers':
        await this.#exchange(client, step, withoutMessages)
        break
      case 'endOffset':
        expect(await endOffset(client, step)).toBe(Number(step.expect))
        break
      case 'sleep':
        this.clock.advance(step.ms)
        break
      case 'restart':
        await (step.kind === 'clean' ? this.broker.stop(BROKER) : this.broker.kill(BROKER))
        await client.closed
        await this.broker.start(BROKER)
        break
      case 'connectionClosed':
        await client.closed
        break
      default:
        throw new Error(`the replay does not know the step ${step.op}`)
    }
  }

  async #exchange(client: RawClient, step: Step, normalise: (hex: string) => string): Promise<void> {
    const request = Buffer.from(step.request, 'hex')
    if (step.response === null) {
      client.transport.write([request])
      return
    }
    const answer = await client.exchange(request)
    expect(answer, `${step.label ?? step.op}: the connection closed instead`).not.toBeNull()
    expect(normalise(answer?.toString('hex') ?? ''), step.label ?? step.op).toBe(normalise(step.response))
  }

  /** Records carry the time of their sending, or a known distance from it; that is where the clock stood. */
  #moveClock(step: Step): void {
    const told = typeof step.expect === 'object' ? Number(step.expect.logAppendTimeMs ?? -1) : -1
    const sent = Number(step.batches.find(({ timestamp }) => timestamp !== undefined)?.timestamp ?? -1)
    const guesses = [sent, sent + TWO_DAYS_MS, sent - HALF_HOUR_MS, sent - DAY_MS]
    const candidates = this.logAppendTopics.has(step.topic) ? [told] : guesses
    const now = this.clock.now()
    const next = candidates.find((ms) => ms >= now && ms < now + TEN_MINUTES_MS)
    if (next !== undefined) this.clock.advance(next - now)
  }
}

function withoutTexts(hex: string, version: number): string {
  const { correlationId, body } = decodeResponse(Produce, version, Buffer.from(hex, 'hex').subarray(4))
  const mask = (text: string | null) => (text === null ? null : 'text')
  const responses = body.responses.map((topic) => ({
    ...topic,
    partitionResponses: topic.partitionResponses.map((partition) => ({
      ...partition,
      errorMessage: mask(partition.errorMessage),
      recordErrors: partition.recordErrors.map(({ batchIndex, batchIndexErrorMessage }) => ({
        batchIndex,
        batchIndexErrorMessage: mask(batchIndexErrorMessage),
      })),
    })),
  }))
  return Buffer.concat(encodeResponse(Produce, version, correlationId, { ...body, responses })).toString('hex')
}

function withoutMessages(hex: string): string {
  const { correlationId, body } = decodeResponse(DescribeProducers, 0, Buffer.from(hex, 'hex').subarray(4))
  const topics = body.topics.map((topic) => ({
    ...topic,
    partitions: topic.partitions.map((partition) => ({ ...partition, errorMessage: null })),
  }))
  return Buffer.concat(encodeResponse(DescribeProducers, 0, correlationId, { ...body, topics })).toString('hex')
}

async function endOffset(client: RawClient, { topic, partition }: Step): Promise<number | undefined> {
  const answer = await client.request(ListOffsets, 5, {
    replicaId: -1,
    topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1 }] }],
  })
  return answer.topics[0]?.partitions[0]?.offset
}

describe.skipIf(transcripts === undefined)('F-1: recorded transcripts of Apache Kafka 4.1.1', () => {
  const scenarios = (transcripts?.recordedOrder ?? []).map(
    (id) => transcripts?.scenarios.find((scenario) => scenario.id === id) as Scenario,
  )
  let shared: Replay | null = null
  let own: Replay | null = null

  afterEach(async () => {
    await own?.close()
    own = null
  })
  afterAll(async () => {
    await shared?.close()
  })

  it('all scenarios are replayed', () => {
    expect(scenarios.map(({ id }) => id).sort()).toEqual(transcripts?.scenarios.map(({ id }) => id).sort())
    expect(scenarios.length).toBeGreaterThanOrEqual(17)
  })

  for (const { id, title, broker: settings, steps } of scenarios) {
    it(`B-5..B-16 ${id}: ${title}`, async () => {
      const hasOwnBroker = Object.keys(settings).length > 0
      if (hasOwnBroker) own = await Replay.start(settings)
      else shared ??= await Replay.start({})
      const replay = (hasOwnBroker ? own : shared) as Replay
      for (const step of steps) await replay.run(step)
    })
  }
})
