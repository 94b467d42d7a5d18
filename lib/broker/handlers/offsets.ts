/** ListOffsets, OffsetForLeaderEpoch and DeleteRecords: where a log begins, ends, and where its epochs do. */
import type {
  DecodedRequestOf,
  DeleteRecords,
  ListOffsets,
  OffsetForLeaderEpoch,
  ResponseOf,
} from '../../protocol/index.js'
import { readRecords } from '../read-records.js'
import type { Replicas } from '../replicas.js'
import { codeAfter, codeBefore, type RequestContext } from '../request-context.js'
import { checkEpoch } from './fetch.js'

type ListedPartition = ResponseOf<typeof ListOffsets>['topics'] extends readonly (infer T)[] | undefined
  ? T extends { readonly partitions: readonly (infer P)[] }
    ? P
    : never
  : never

const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_OR_PARTITION = 3
const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
const TO_HIGH_WATERMARK = -1
const NO_EPOCH = -1

export async function handleListOffsets(
  request: DecodedRequestOf<typeof ListOffsets>,
  context: RequestContext,
): Promise<ResponseOf<typeof ListOffsets>> {
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map(async (asked): Promise<ListedPartition> => {
        const replicas = context.cluster.topics.byName(name)?.partitions[asked.partitionIndex]
        const errorCode = codeBefore(context, name, asked.partitionIndex) || judge(asked, replicas, context)
        const base = { partitionIndex: asked.partitionIndex }
        if (errorCode !== 0 || replicas === undefined) return { ...base, errorCode }
        const found = await lookUp(replicas, asked.timestamp)
        const late = codeAfter(context, 0, name, asked.partitionIndex)
        if (late !== 0) return { ...base, errorCode: late }
        // Versions below 4 have no leader epoch, and refuse to write one.
        return { ...base, errorCode: 0, ...found, leaderEpoch: context.version >= 4 ? found.leaderEpoch : NO_EPOCH }
      }),
    ),
  }))
  return { topics: await Promise.all(topics) }
}

function judge(
  asked: { readonly currentLeaderEpoch: number },
  replicas: Replicas | undefined,
  context: RequestContext,
): number {
  return replicas === undefined ? UNKNOWN_TOPIC_OR_PARTITION : checkEpoch(asked, replicas, context.brokerId)
}

interface Found {
  readonly timestamp: number
  readonly offset: number
  readonly leaderEpoch: number
}

const NOT_FOUND: Found = { timestamp: -1, offset: -1, leaderEpoch: NO_EPOCH }

async function lookUp(replicas: Replicas, timestamp: number): Promise<Found> {
  const { log, highWatermark, leaderEpoch } = replicas
  if (timestamp === LATEST) return { timestamp: -1, offset: highWatermark, leaderEpoch }
  if (timestamp === EARLIEST || timestamp === EARLIEST_LOCAL) {
    return { timestamp: -1, offset: log.logStart, leaderEpoch: log.epochAt(log.logStart) }
  }
  if (timestamp === LATEST_TIERED) return NOT_FOUND
  if (timestamp === MAX_TIMESTAMP) return newest(replicas)
  if (timestamp < 0) return NOT_FOUND
  for (const batch of log.from(log.logStart)) {
    if (batch.lastOffset >= highWatermark) break
    if (batch.maxTimestamp < timestamp) continue
    const record = (await readRecords(batch.bytes)).find(
      (one) => one.timestamp >= timestamp && one.offset >= log.logStart,
    )
    if (record !== undefined) {
      return { timestamp: record.timestamp, offset: record.offset, leaderEpoch: batch.leaderEpoch }
    }
  }
  return NOT_FOUND
}

/** The record with the largest timestamp; of several, the first. */
async function newest({ log, highWatermark }: Replicas): Promise<Found> {
  const served = log.batches().filter((batch) => batch.lastOffset < highWatermark && batch.count > 0)
  const largest = served.reduce((max, batch) => Math.max(max, batch.maxTimestamp), Number.NEGATIVE_INFINITY)
  const batch = served.find((one) => one.maxTimestamp === largest)
  if (batch === undefined) return NOT_FOUND
  const record = (await readRecords(batch.bytes)).find((one) => one.timestamp === largest)
  return { timestamp: largest, offset: record?.offset ?? batch.lastOffset, leaderEpoch: batch.leaderEpoch }
}

export function handleOffsetForLeaderEpoch(
  request: DecodedRequestOf<typeof OffsetForLeaderEpoch>,
  context: RequestContext,
): ResponseOf<typeof OffsetForLeaderEpoch> {
  const topics = request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map((asked) => {
      const replicas = context.cluster.topics.byName(topic)?.partitions[asked.partition]
      const before = codeBefore(context, topic, asked.partition) || judge(asked, replicas, context)
      const errorCode = codeAfter(context, before, topic, asked.partition)
      if (errorCode !== 0 || replicas === undefined) return { errorCode, partition: asked.partition }
      const end = replicas.log.endOfEpoch(asked.leaderEpoch)
      return { errorCode, partition: asked.partition, leaderEpoch: end.leaderEpoch, endOffset: end.endOffset }
    }),
  }))
  return { topics }
}

export function handleDeleteRecords(
  request: DecodedRequestOf<typeof DeleteRecords>,
  context: RequestContext,
): ResponseOf<typeof DeleteRecords> {
  const topics = request.topics.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map((asked) => {
      const replicas = context.cluster.topics.byName(name)?.partitions[asked.partitionIndex]
      const errorCode =
        codeBefore(context, name, asked.partitionIndex) || judge({ currentLeaderEpoch: NO_EPOCH }, replicas, context)
      const base = { partitionIndex: asked.partitionIndex, lowWatermark: -1 }
      if (errorCode !== 0 || replicas === undefined) return { ...base, errorCode }
      const offset = asked.offset === TO_HIGH_WATERMARK ? replicas.highWatermark : asked.offset
      if (offset < 0 || offset > replicas.highWatermark) return { ...base, errorCode: OFFSET_OUT_OF_RANGE }
      const lowWatermark = replicas.deleteRecords(offset)
      return { ...base, lowWatermark, errorCode: codeAfter(context, 0, name, asked.partitionIndex) }
    }),
  }))
  return { throttleTimeMs: 0, topics }
}
