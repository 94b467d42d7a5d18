/**
 * Fetch: sessions, epoch checks, reading, long poll (kafka.md 5.2, 5.4), reading from followers (KIP-392).
 * Invariant: nothing at or above the high watermark is served; an answer is sent as soon as `minBytes` are there, an
 * error, a divergence or a better replica is to be told, or `maxWaitMs` is over.
 */
import { type DecodedRequestOf, type Fetch, type ResponseOf, ZERO_UUID } from '../../protocol/index.js'
import type { FetchContext, WantedPartition } from '../fetch-sessions.js'
import type { PartitionLog } from '../partition-log.js'
import { NO_REPLICA, preferredReplica } from '../preferred-replica.js'
import type { Replicas } from '../replicas.js'
import { forcedError, Hints, type RequestContext } from '../request-context.js'

type Request = DecodedRequestOf<typeof Fetch>
type Response = ResponseOf<typeof Fetch>
type TopicResponse = NonNullable<Response['responses']>[number]
type PartitionResponse = TopicResponse['partitions'][number]

const OFFSET_OUT_OF_RANGE = 1
const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_LEADER_OR_FOLLOWER = 6
const FENCED_LEADER_EPOCH = 74
const UNKNOWN_LEADER_EPOCH = 75
const UNKNOWN_TOPIC_ID = 100

/** First version with sessions, with racks (from then on followers serve consumers), and with topic ids. */
const SESSIONS = 7
const RACKS = 11
const BY_ID = 13
/** First version that names the new leader with its address. */
const HINTS = 16
const NO_EPOCH = -1
const READ_COMMITTED = 1

/** What reading one partition gave. */
interface Reading {
  readonly wanted: WantedPartition
  readonly replicas: Replicas | undefined
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStart: number
  readonly records: readonly Uint8Array[]
  readonly bytes: number
  readonly diverging: { readonly epoch: number; readonly endOffset: number } | null
  /** Broker to ask instead, -1: none is better. */
  readonly preferred: number
}

export function handleFetch(request: Request, context: RequestContext): Response | Promise<Response> {
  const session = openSession(request, context)
  if (session.errorCode !== 0) return { errorCode: session.errorCode, sessionId: 0, responses: [] }
  const readings = readAll(request, session, context)
  if (request.maxWaitMs <= 0 || session.partitions.length === 0 || isEnough(readings, request.minBytes)) {
    return answer(readings, request, session, context)
  }
  return poll(request, session, context).then((settled) => answer(settled, request, session, context))
}

function openSession(request: Request, context: RequestContext): FetchContext {
  const byId = context.version >= BY_ID
  const { topics } = context.cluster
  const nameOf = (name: string, topicId: string) => (byId ? (topics.byId(topicId)?.name ?? '') : name)
  const wanted = request.topics.flatMap((topic) =>
    topic.partitions.map((partition) => ({
      topic: nameOf(topic.topic, topic.topicId),
      topicId: byId ? topic.topicId : ZERO_UUID,
      partition: partition.partition,
      currentLeaderEpoch: partition.currentLeaderEpoch,
      fetchOffset: partition.fetchOffset,
      lastFetchedEpoch: partition.lastFetchedEpoch,
      partitionMaxBytes: partition.partitionMaxBytes,
    })),
  )
  const forgotten = request.forgottenTopicsData.flatMap((topic) =>
    topic.partitions.map((partition) => ({
      topic: nameOf(topic.topic, topic.topicId),
      topicId: byId ? topic.topicId : ZERO_UUID,
      partition,
    })),
  )
  const isSessionless = context.version < SESSIONS
  return context.sessions.open({
    sessionId: isSessionless ? 0 : request.sessionId,
    sessionEpoch: isSessionless ? -1 : request.sessionEpoch,
    usesTopicIds: byId,
    wanted,
    forgotten,
  })
}

/** Waits for news of the wanted partitions; `maxWaitMs` at most. */
function poll(request: Request, session: FetchContext, context: RequestContext): Promise<Reading[]> {
  return new Promise((resolve) => {
    const cleanups: (() => void)[] = []
    let isScheduled = false
    const done = (readings: Reading[]) => {
      if (cleanups.length === 0) return
      for (const cleanup of cleanups.splice(0)) cleanup()
      resolve(readings)
    }
    const check = () => {
      isScheduled = false
      if (cleanups.length === 0) return
      const readings = readAll(request, session, context)
      if (isEnough(readings, request.minBytes)) done(readings)
    }
    // Many appends of one turn are one look: a reader never runs inside somebody's append.
    const wake = () => {
      if (isScheduled) return
      isScheduled = true
      queueMicrotask(check)
    }
    const end = () => done(readAll(request, session, context))
    const timer = context.cluster.clock.setTimer(end, request.maxWaitMs)
    cleanups.push(() => timer.cancel(), context.onGone(end))
    for (const wanted of session.partitions) {
      const replicas = context.cluster.topics.byName(wanted.topic)?.partitions[wanted.partition]
      if (replicas !== undefined) cleanups.push(replicas.watch(wake))
    }
  })
}

function isEnough(readings: readonly Reading[], minBytes: number): boolean {
  let bytes = 0
  for (const reading of readings) {
    if (reading.errorCode !== 0 || reading.diverging !== null || reading.preferred !== NO_REPLICA) return true
    bytes += reading.bytes
  }
  return bytes >= minBytes
}

/** Reads in the session's order until `maxBytes` are used up; the first batch of an answer always fits. */
function readAll(request: Request, session: FetchContext, context: RequestContext): Reading[] {
  let left = request.maxBytes
  let isFirst = true
  return session.partitions.map((wanted) => {
    const reading = read(wanted, { request, left, isFirst }, context)
    left -= reading.bytes
    isFirst = isFirst && reading.bytes === 0
    return reading
  })
}

interface Room {
  readonly request: Request
  readonly left: number
  readonly isFirst: boolean
}

function read(wanted: WantedPartition, { request, left, isFirst }: Room, context: RequestContext): Reading {
  const topic =
    context.version >= BY_ID ? context.cluster.topics.byId(wanted.topicId) : context.cluster.topics.byName(wanted.topic)
  const replicas = topic?.partitions[wanted.partition]
  const forced = forcedError(context, 'before', wanted.topic, wanted.partition)
  if (forced !== undefined) return failed(wanted, forced.code, replicas)
  if (topic === undefined && context.version >= BY_ID) return failed(wanted, UNKNOWN_TOPIC_ID)
  if (replicas === undefined) return failed(wanted, UNKNOWN_TOPIC_OR_PARTITION)
  const { brokerId, cluster } = context
  const mayFollow = context.version >= RACKS && replicas.follows(brokerId)
  const refused = checkEpoch(wanted, replicas, mayFollow ? replicas.leaderId : brokerId)
  if (refused !== 0) return failed(wanted, refused, replicas)
  const preferred = preferredReplica(replicas, brokerId, request.rackId, wanted.fetchOffset, cluster)
  if (preferred !== NO_REPLICA) return { ...readNothing(wanted, replicas), preferred }
  return readLog(wanted, replicas, brokerId, { maxBytes: Math.min(left, wanted.partitionMaxBytes), isFirst })
}

/** The marks alone: another replica is to be asked for the records. */
function readNothing(wanted: WantedPartition, replicas: Replicas): Reading {
  const { highWatermark, log } = replicas
  return { ...failed(wanted, 0, replicas), highWatermark, logStart: log.logStart }
}

/** Leadership and the epoch the asker believes in: 6, 74, 75 or 0. */
export function checkEpoch(
  asked: { readonly currentLeaderEpoch: number },
  replicas: Replicas,
  brokerId: number,
): number {
  if (asked.currentLeaderEpoch !== NO_EPOCH) {
    if (asked.currentLeaderEpoch < replicas.leaderEpoch) return FENCED_LEADER_EPOCH
    if (asked.currentLeaderEpoch > replicas.leaderEpoch) return UNKNOWN_LEADER_EPOCH
  }
  return replicas.leaderId === brokerId ? 0 : NOT_LEADER_OR_FOLLOWER
}

function readLog(
  wanted: WantedPartition,
  replicas: Replicas,
  brokerId: number,
  { maxBytes, isFirst }: { readonly maxBytes: number; readonly isFirst: boolean },
): Reading {
  const log = replicas.logOf(brokerId) ?? replicas.log
  const highWatermark = replicas.highWatermarkOf(brokerId)
  const diverging = divergenceOf(wanted, log)
  if (diverging === 'unknown') return failed(wanted, OFFSET_OUT_OF_RANGE, replicas)
  if (diverging === null && (wanted.fetchOffset < log.logStart || wanted.fetchOffset > log.logEnd)) {
    return failed(wanted, OFFSET_OUT_OF_RANGE, replicas)
  }
  const records = diverging === null ? log.read(wanted.fetchOffset, highWatermark, maxBytes, isFirst) : []
  const bytes = records.reduce((sum, segment) => sum + segment.length, 0)
  const read = { highWatermark, logStart: log.logStart, records, bytes, diverging, preferred: NO_REPLICA }
  return { wanted, replicas, errorCode: 0, ...read }
}

/** KIP-595: where the asker's log leaves this one, by the epoch of its last record. */
function divergenceOf(
  wanted: WantedPartition,
  log: PartitionLog,
): { readonly epoch: number; readonly endOffset: number } | null | 'unknown' {
  if (wanted.lastFetchedEpoch === NO_EPOCH) return null
  const end = log.endOfEpoch(wanted.lastFetchedEpoch)
  if (end.endOffset < 0) return 'unknown'
  if (end.leaderEpoch >= wanted.lastFetchedEpoch && end.endOffset >= wanted.fetchOffset) return null
  return { epoch: end.leaderEpoch, endOffset: end.endOffset }
}

function failed(wanted: WantedPartition, errorCode: number, replicas?: Replicas): Reading {
  const nothing = { highWatermark: -1, logStart: -1, records: [], bytes: 0, diverging: null, preferred: NO_REPLICA }
  return { wanted, replicas, errorCode, ...nothing }
}

function answer(
  readings: readonly Reading[],
  request: Request,
  session: FetchContext,
  context: RequestContext,
): Response {
  const hints = new Hints(context.cluster, context.version >= HINTS)
  const aborted = request.isolationLevel === READ_COMMITTED ? [] : null // there are no transactions yet
  const responses: { topic: string; topicId: string; partitions: PartitionResponse[] }[] = []
  for (const reading of readings) {
    const { wanted, errorCode, highWatermark, logStart, bytes } = reading
    const mustTell = reading.diverging !== null || reading.preferred !== NO_REPLICA
    if (!session.tells(wanted, { errorCode, highWatermark, logStart, recordBytes: bytes, mustTell })) continue
    let topic = responses.at(-1)
    if (topic === undefined || topic.topic !== wanted.topic || topic.topicId !== wanted.topicId) {
      topic = { topic: wanted.topic, topicId: wanted.topicId, partitions: [] }
      responses.push(topic)
    }
    topic.partitions.push(answerPartition(reading, context, hints, aborted))
  }
  return { errorCode: 0, sessionId: session.sessionId, responses, nodeEndpoints: hints.endpoints() }
}

function answerPartition(
  reading: Reading,
  context: RequestContext,
  hints: Hints,
  aborted: readonly never[] | null,
): PartitionResponse {
  const { wanted, replicas } = reading
  const late = forcedError(context, 'after', wanted.topic, wanted.partition)
  const errorCode = late?.code ?? reading.errorCode
  const forced = late ?? forcedError(context, 'before', wanted.topic, wanted.partition)
  const isMoved = errorCode === NOT_LEADER_OR_FOLLOWER || errorCode === FENCED_LEADER_EPOCH
  const wantsHint = forced === undefined ? isMoved : forced.hint !== false
  const currentLeader = wantsHint ? hints.of(replicas, forced) : undefined
  return {
    partitionIndex: wanted.partition,
    errorCode,
    highWatermark: errorCode === 0 ? reading.highWatermark : -1,
    lastStableOffset: errorCode === 0 ? reading.highWatermark : -1,
    logStartOffset: errorCode === 0 ? reading.logStart : -1,
    abortedTransactions: aborted,
    ...(errorCode === 0 && reading.preferred !== NO_REPLICA ? { preferredReadReplica: reading.preferred } : {}),
    records: errorCode === 0 ? reading.records : [],
    ...(reading.diverging === null ? {} : { divergingEpoch: reading.diverging }),
    ...(currentLeader === undefined ? {} : { currentLeader }),
  }
}
