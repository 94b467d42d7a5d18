/**
 * Replays a recorded conversation (vectors/idempotence-transcripts.json) against a live broker and lists the differences.
 * Why: the rules of kafka.md section 4 rest on these recordings; a newer Kafka may decide otherwise, and then we must know.
 * The frames are decoded and written anew with fresh topics, and timestamps are moved to the present, since a broker refuses
 * records of the future. A batch whose CRC was broken on purpose stays broken.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type DecodedRequestOf,
  DescribeProducers,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  Metadata,
  Produce,
} from '../../lib/protocol/index.js'
import { crc32c } from '../../lib/util/index.js'
import { createTopicNamed, endOffsets, withAdmin } from './interop-kafkajs.js'
import type { RealKafka } from './interop-setup.js'
import { FrameSocket } from './interop-socket.js'
import { restartNode } from './real-kafka.js'
import { unhex } from './vectors.js'

export interface ProduceExpectation {
  readonly errorCode: number
  readonly baseOffset: string
  readonly logAppendTimeMs: string
  readonly logStartOffset: string
  readonly recordErrors: readonly { readonly batchIndex: number }[]
}

interface ProducerState {
  readonly producerId: string | bigint
  readonly producerEpoch: number
  readonly lastSequence: number
}

export type Step =
  | { op: 'createTopic'; topic: string; partitions: number; configs: Record<string, string>; topicId: string }
  | { op: 'deleteTopic'; topic: string }
  | {
      op: 'produce'
      label: string
      request: string
      batches: readonly { timestamp?: string }[]
      expect: ProduceExpectation | readonly ProduceExpectation[] | { noResponse: true } | { closed: true }
    }
  | {
      op: 'describeProducers'
      topic: string
      request: string
      expect: Record<string, { errorCode: number; activeProducers: ProducerState[] }>
    }
  | { op: 'endOffset'; topic: string; partition: number; expect: string }
  | { op: 'restart'; kind: 'clean' | 'kill' }
  | { op: 'sleep'; ms: number }
  | { op: 'connectionClosed' }

export interface Scenario {
  readonly id: string
  readonly title: string
  readonly broker: Readonly<Record<string, string>>
  readonly steps: readonly Step[]
}

export interface Difference {
  readonly step: string
  readonly expected: unknown
  readonly found: unknown
}

const BATCH_LENGTH_AT = 8
const MAGIC_AT = 16
const CRC_AT = 17
const CRC_FROM = 21
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const SMALLEST_BATCH_BYTES = 61
const SAME_SESSION_MS = 20 * 60_000
const CLOSE_LIMIT_MS = 5_000
const LEADER_LIMIT_MS = 20_000

/** Every step whose outcome differs from the recording; empty when the broker decides as the recorded one did. */
export async function replay(scenario: Scenario, kafka: RealKafka, recordedAtMs: number): Promise<Difference[]> {
  const run = new Replay(kafka, Date.now() - sentAtMs(scenario, recordedAtMs))
  try {
    for (const [index, step] of scenario.steps.entries())
      await run.step(step, `${scenario.id}${index} ${titleOf(step)}`)
  } finally {
    await run.close()
  }
  return run.differences
}

/** A first batch with a timestamp near the recording carries the time at which it was sent; others are old or new on purpose. */
function sentAtMs({ steps }: Scenario, recordedAtMs: number): number {
  const first = steps.find((step) => step.op === 'produce')
  const timestampMs = Number(first?.batches[0]?.timestamp ?? recordedAtMs)
  return Math.abs(timestampMs - recordedAtMs) < SAME_SESSION_MS ? timestampMs : recordedAtMs
}

const titleOf = (step: Step): string => ('label' in step ? step.label : step.op)

class Replay {
  readonly differences: Difference[] = []
  readonly #kafka: RealKafka
  readonly #shiftMs: number
  readonly #socket: FrameSocket
  readonly #names = new Map<string, string>() // recorded name -> ours
  readonly #ids = new Map<string, string>() // recorded topic id -> ours
  readonly #suffix = `${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`

  constructor(kafka: RealKafka, shiftMs: number) {
    this.#kafka = kafka
    this.#shiftMs = shiftMs
    this.#socket = new FrameSocket(kafka.brokers[0] ?? '')
  }

  async step(step: Step, name: string): Promise<void> {
    if (step.op === 'createTopic') await this.#createTopic(step)
    else if (step.op === 'deleteTopic') await this.#deleteTopic(this.#nameOf(step.topic))
    else if (step.op === 'produce') await this.#produce(step, name)
    else if (step.op === 'describeProducers') await this.#describeProducers(step, name)
    else if (step.op === 'endOffset') await this.#endOffset(step, name)
    else if (step.op === 'restart') await this.#restart(step.kind)
    else if (step.op === 'sleep') await sleep(step.ms)
    else this.#compare(name, true, await this.#socket.closes(CLOSE_LIMIT_MS))
  }

  async close(): Promise<void> {
    this.#socket.close()
    const topics = [...this.#names.values()]
    await withAdmin(this.#kafka.brokers, (admin) => admin.deleteTopics({ topics })).catch(() => {}) // deleted by a step
  }

  #compare(step: string, expected: unknown, found: unknown): void {
    if (JSON.stringify(expected) !== JSON.stringify(found)) this.differences.push({ step, expected, found })
  }

  #nameOf(recorded: string): string {
    return `${recorded}-${this.#suffix}`
  }

  async #createTopic({ topic, partitions, configs, topicId }: Extract<Step, { op: 'createTopic' }>): Promise<void> {
    const name = this.#nameOf(topic)
    await createTopicNamed(this.#kafka.brokers, name, partitions, configs)
    this.#names.set(topic, name)
    this.#ids.set(topicId, await this.#topicIdOf(name))
  }

  /** Deleting is done when the name is gone: creating it again too early would be refused. */
  async #deleteTopic(name: string): Promise<void> {
    await withAdmin(this.#kafka.brokers, async (admin) => {
      await admin.deleteTopics({ topics: [name] })
      while ((await admin.listTopics()).includes(name)) await sleep(50)
    })
  }

  async #topicIdOf(name: string): Promise<string> {
    const request = encodeRequest(Metadata, 12, 1, 'replay', {
      topics: [{ name }],
      allowAutoTopicCreation: false,
    })
    const answer = await this.#socket.ask(Buffer.concat(request))
    if (answer === null) throw new Error('the broker closed the socket instead of answering Metadata')
    return decodeResponse(Metadata, 12, answer).body.topics[0]?.topicId ?? ''
  }

  async #produce(step: Extract<Step, { op: 'produce' }>, name: string): Promise<void> {
    const recorded = decodeRequest(unhex(step.request).subarray(4))
    const { version, correlationId, clientId } = recorded
    const body = recorded.body as unknown as DecodedRequestOf<typeof Produce>
    const topicData = body.topicData.map((topic) => ({
      name: this.#nameOf(topic.name),
      topicId: this.#ids.get(topic.topicId) ?? topic.topicId,
      partitionData: topic.partitionData.map(({ index, records }) => ({ index, records: this.#moved(records) })),
    }))
    const frame = Buffer.concat(encodeRequest(Produce, version, correlationId, clientId, { ...body, topicData }))
    if ('noResponse' in step.expect) return this.#socket.tell(frame)
    const answer = await this.#socket.ask(frame)
    if (answer === null || 'closed' in step.expect)
      return this.#compare(name, step.expect, answer === null ? { closed: true } : 'answered')
    const partitions = decodeResponse(Produce, version, answer).body.responses.flatMap(
      (topic) => topic.partitionResponses,
    )
    this.#compare(name, [step.expect].flat().map(essence), partitions.map(essence))
  }

  /** The records with all timestamps of whole batches moved into the present, and intact CRCs kept intact. */
  #moved(records: Uint8Array | null): Uint8Array | null {
    if (records === null) return null
    const bytes = Buffer.from(records)
    for (let at = 0; at + SMALLEST_BATCH_BYTES <= bytes.length; ) {
      const end = at + BATCH_LENGTH_AT + 4 + bytes.readInt32BE(at + BATCH_LENGTH_AT)
      if (bytes[at + MAGIC_AT] !== 2 || end > bytes.length || end < at + SMALLEST_BATCH_BYTES) break
      moveBatch(bytes.subarray(at, end), this.#shiftMs)
      at = end
    }
    return bytes
  }

  async #describeProducers(step: Extract<Step, { op: 'describeProducers' }>, name: string): Promise<void> {
    const recorded = decodeRequest(unhex(step.request).subarray(4))
    const body = recorded.body as unknown as DecodedRequestOf<typeof DescribeProducers>
    const topics = body.topics.map((topic) => ({ ...topic, name: this.#nameOf(topic.name) }))
    const request = encodeRequest(DescribeProducers, recorded.version, recorded.correlationId, recorded.clientId, {
      topics,
    })
    const answer = await this.#socket.ask(Buffer.concat(request))
    if (answer === null) return this.#compare(name, step.expect, 'closed')
    const found = decodeResponse(DescribeProducers, recorded.version, answer).body.topics.flatMap(
      (topic) => topic.partitions,
    )
    this.#compare(
      name,
      Object.entries(step.expect).map(([partition, { errorCode, activeProducers }]) => [
        Number(partition),
        errorCode,
        activeProducers.map(stateOf).sort(),
      ]),
      found.map(({ partitionIndex, errorCode, activeProducers }) => [
        partitionIndex,
        errorCode,
        activeProducers.map(stateOf).sort(),
      ]),
    )
  }

  async #endOffset({ topic, partition, expect }: Extract<Step, { op: 'endOffset' }>, name: string): Promise<void> {
    const ends = await endOffsets(this.#kafka.brokers, this.#nameOf(topic))
    this.#compare(name, Number(expect), ends[partition])
  }

  /** A broker accepts connections a moment before it leads its partitions again. */
  async #restart(kind: 'clean' | 'kill'): Promise<void> {
    this.#socket.close()
    await restartNode(this.#kafka, kind)
    const deadlineMs = Date.now() + LEADER_LIMIT_MS
    for (const name of this.#names.values()) {
      while (
        !(await endOffsets(this.#kafka.brokers, name).then(
          () => true,
          () => false,
        ))
      ) {
        if (Date.now() > deadlineMs) throw new Error(`${name} has no leader ${LEADER_LIMIT_MS} ms after a restart`)
        await sleep(100)
      }
    }
  }
}

/** What must be equal: times and texts are the broker's own, that a time is given at all is a statement (a duplicate). */
function essence(answer: {
  readonly errorCode: number
  readonly baseOffset: string | number
  readonly logAppendTimeMs: string | number
  readonly logStartOffset: string | number
  readonly recordErrors: readonly { readonly batchIndex: number }[]
}): object {
  return {
    errorCode: answer.errorCode,
    baseOffset: Number(answer.baseOffset),
    tellsAppendTime: Number(answer.logAppendTimeMs) !== -1,
    logStartOffset: Number(answer.logStartOffset),
    recordErrors: answer.recordErrors.map(({ batchIndex }) => batchIndex),
  }
}

const stateOf = ({ producerId, producerEpoch, lastSequence }: ProducerState): string =>
  `producer ${producerId} epoch ${producerEpoch} last sequence ${lastSequence}`

function moveBatch(batch: Buffer, shiftMs: number): void {
  const wasIntact = batch.readUInt32BE(CRC_AT) === crc32c(batch.subarray(CRC_FROM))
  for (const at of [BASE_TIMESTAMP_AT, MAX_TIMESTAMP_AT]) {
    batch.writeBigInt64BE(batch.readBigInt64BE(at) + BigInt(shiftMs), at)
  }
  if (wasIntact) batch.writeUInt32BE(crc32c(batch.subarray(CRC_FROM)), CRC_AT)
}
