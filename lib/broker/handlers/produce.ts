/**
 * Produce: validate, append, wait for the replicas, answer (kafka.md B-2..B-10).
 * Invariant: each partition is judged on its own; a partition that the request lists twice is judged once, with the
 * last batch (the first is lost without a word, as on Apache Kafka 4.1.1). Hot path of the broker.
 */
import type { DecodedRequestOf, Produce, ResponseOf } from '../../protocol/index.js'
import { type Appended, appendBatch } from '../append.js'
import { isRefusal, probe, type Refusal, refusal, refusalInLog } from '../batch-validator.js'
import type { Replicas } from '../replicas.js'
import { CLOSE, codeBefore, type ErrorFault, forcedError, Hints, type RequestContext } from '../request-context.js'
import type { Topic } from '../topics.js'

type Request = DecodedRequestOf<typeof Produce>
type Response = ResponseOf<typeof Produce>
type PartitionResponse = NonNullable<Response['responses']>[number]['partitionResponses'][number]

const UNKNOWN_TOPIC_OR_PARTITION = 3
const NOT_LEADER_OR_FOLLOWER = 6
const REQUEST_TIMED_OUT = 7
const NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
const INVALID_REQUIRED_ACKS = 21
const UNKNOWN_TOPIC_ID = 100

/** First version that names topics by id. */
const BY_ID = 13
/** First version that names the new leader. */
const HINTS = 10
const ALL = -1

/** One topic-partition of the request on its way. */
interface Task {
  readonly name: string
  readonly topicId: string
  readonly topic: Topic | undefined
  readonly partition: number
  readonly replicas: Replicas | undefined
  readonly records: Uint8Array | null
  outcome: Appended | Refusal | null
}

export function handleProduce(
  request: Request,
  context: RequestContext,
): Response | null | typeof CLOSE | Promise<Response | null | typeof CLOSE> {
  const tasks = tasksOf(request, context)
  const pending = tasks.map((task) => start(task, request, context)).filter((started) => started !== null)
  if (pending.length === 0) return complete(tasks, request, context)
  return Promise.all(pending).then(() => complete(tasks, request, context))
}

function tasksOf(request: Request, context: RequestContext): Task[] {
  const byId = context.version >= BY_ID
  const tasks = new Map<string, Task>()
  for (const { name, topicId, partitionData } of request.topicData) {
    const topic = byId ? context.cluster.topics.byId(topicId) : context.cluster.topics.byName(name)
    for (const { index, records } of partitionData) {
      const replicas = topic?.partitions[index]
      const known = { name: topic?.name ?? name, topicId, topic, partition: index, replicas, records, outcome: null }
      tasks.set(`${byId ? topicId : name}/${index}`, known)
    }
  }
  return [...tasks.values()]
}

/** Judges and appends; a promise only when a codec needs one. */
function start(task: Task, request: Request, context: RequestContext): Promise<void> | null {
  const outcome = attempt(task, request, context)
  if (!(outcome instanceof Promise)) {
    task.outcome = outcome
    return null
  }
  return outcome.then((settled) => {
    task.outcome = settled
  })
}

function attempt(
  task: Task,
  request: Request,
  context: RequestContext,
): Appended | Refusal | Promise<Appended | Refusal> {
  const forced = forcedError(context, 'before', task.name, task.partition)
  if (forced !== undefined) return refusal(forced.code, forced.message)
  const { topic, replicas } = task
  if (topic === undefined || replicas === undefined) {
    const isId = topic === undefined && context.version >= BY_ID
    return refusal(isId ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION)
  }
  const batch = probe(task.records, context.version)
  if (isRefusal(batch)) return batch
  if (request.acks < -1 || request.acks > 1) return refusal(INVALID_REQUIRED_ACKS)
  return appendBatch({ context, topic, replicas, acks: request.acks, bytes: batch })
}

/** Everything is judged: answer at once, or when the replicas have what they must have. */
function complete(
  tasks: readonly Task[],
  request: Request,
  context: RequestContext,
): Response | null | typeof CLOSE | Promise<Response> {
  if (request.acks === 0) return tasks.some((task) => isRefused(task.outcome)) ? CLOSE : null
  if (request.acks !== ALL || tasks.every((task) => verdictOf(task, context) !== 'waiting')) {
    return answer(tasks, request.acks, context)
  }
  return replicated(tasks, request.timeoutMs, context).then(() => answer(tasks, request.acks, context))
}

function isRefused(outcome: Appended | Refusal | null): outcome is Refusal {
  return outcome !== null && 'knowsLog' in outcome
}

/** B-10. What became of an appended batch: 0 = replicated, 6, 20 or 3, or 'waiting'. */
function verdictOf(task: Task, context: RequestContext): number | 'waiting' {
  const { outcome, topic, replicas } = task
  if (outcome === null || isRefused(outcome) || topic === undefined || replicas === undefined) return 0
  if (context.cluster.topics.byId(topic.topicId) === undefined) return UNKNOWN_TOPIC_OR_PARTITION
  if (replicas.leaderId !== context.brokerId) return NOT_LEADER_OR_FOLLOWER
  if (replicas.highWatermark < outcome.requiredOffset) return 'waiting'
  return replicas.isr.length >= minIsrOf(topic, replicas) ? 0 : NOT_ENOUGH_REPLICAS_AFTER_APPEND
}

function minIsrOf(topic: Topic, replicas: Replicas): number {
  return Math.min(topic.config.number('min.insync.replicas'), replicas.replicas.length)
}

/** Settles when no batch waits any more, when time is up, or when the asker is gone. */
function replicated(tasks: readonly Task[], timeoutMs: number, context: RequestContext): Promise<void> {
  return new Promise((resolve) => {
    const cleanups: (() => void)[] = []
    const done = () => {
      for (const cleanup of cleanups.splice(0)) cleanup()
      resolve()
    }
    const check = () => {
      if (tasks.every((task) => verdictOf(task, context) !== 'waiting')) done()
    }
    const timer = context.cluster.clock.setTimer(done, timeoutMs)
    cleanups.push(() => timer.cancel(), context.onGone(done))
    for (const task of tasks) if (task.replicas !== undefined) cleanups.push(task.replicas.watch(check))
  })
}

function answer(tasks: readonly Task[], acks: number, context: RequestContext): Response {
  const hints = new Hints(context.cluster, context.version >= HINTS)
  const topics = new Map<string, { name: string; topicId: string; partitionResponses: PartitionResponse[] }>()
  for (const task of tasks) {
    const key = context.version >= BY_ID ? task.topicId : task.name
    let topic = topics.get(key)
    if (topic === undefined) {
      topic = { name: task.name, topicId: task.topicId, partitionResponses: [] }
      topics.set(key, topic)
    }
    topic.partitionResponses.push(answerPartition(task, acks, context, hints))
  }
  return { responses: [...topics.values()], nodeEndpoints: hints.endpoints() }
}

function answerPartition(task: Task, acks: number, context: RequestContext, hints: Hints): PartitionResponse {
  const outcome = task.outcome as Appended | Refusal
  const forced = forcedError(context, 'after', task.name, task.partition)
  if (forced !== undefined) return failure(task, refusal(forced.code, forced.message), hints, forced)
  if (isRefused(outcome)) {
    const before = codeBefore(context, task.name, task.partition) !== 0
    return failure(task, outcome, hints, before ? forcedError(context, 'before', task.name, task.partition) : undefined)
  }
  const verdict = acks === ALL ? verdictOf(task, context) : 0
  if (verdict !== 0) return failure(task, refusalInLog(verdict === 'waiting' ? REQUEST_TIMED_OUT : verdict), hints)
  return {
    index: task.partition,
    errorCode: 0,
    baseOffset: outcome.baseOffset,
    logAppendTimeMs: outcome.logAppendTimeMs,
    logStartOffset: (task.replicas as Replicas).log.logStart,
  }
}

function failure(task: Task, refused: Refusal, hints: Hints, forced?: ErrorFault): PartitionResponse {
  const isMoved = refused.errorCode === NOT_LEADER_OR_FOLLOWER && forced === undefined
  const wantsHint = isMoved || (forced !== undefined && forced.hint !== false)
  const currentLeader = wantsHint ? hints.of(task.replicas, forced) : undefined
  return {
    index: task.partition,
    errorCode: refused.errorCode,
    baseOffset: -1,
    logAppendTimeMs: -1,
    logStartOffset: refused.knowsLog ? (task.replicas?.log.logStart ?? -1) : -1,
    recordErrors: refused.recordErrors,
    errorMessage: refused.message,
    ...(currentLeader === undefined ? {} : { currentLeader }),
  }
}
