/**
 * One produced batch against one partition's leader: replicas, rules, duplicates, sequences, the append itself.
 * Invariant: between the duplicate check and the append nothing else happens (one thread is the log lock), and a batch
 * that was refused left no trace.
 */
import { attributesOf, type BatchHeader, LOG_APPEND_BIT, patchPosition, patchTime } from './batch-header.js'
import { inspect, isRefusal, type Refusal, refusal, refusalInLog, type SoundBatch } from './batch-validator.js'
import type { Replicas } from './replicas.js'
import type { RequestContext } from './request-context.js'
import { storedBatch } from './stored-batch.js'
import type { Topic } from './topics.js'

const NOT_LEADER_OR_FOLLOWER = 6
const NOT_ENOUGH_REPLICAS = 19
const ALL = -1
const NO_TIME = -1

export interface AppendTask {
  readonly context: RequestContext
  readonly topic: Topic
  readonly replicas: Replicas
  readonly acks: number
  /** Exactly one batch; kept, patched and served from now on. */
  readonly bytes: Buffer
}

/** An accepted batch: new, or found among the remembered ones. */
export interface Appended {
  readonly baseOffset: number
  /** -1 for a new batch of a CreateTime topic; a duplicate carries the time that was remembered with it. */
  readonly logAppendTimeMs: number
  /** The high watermark that acks -1 waits for. */
  readonly requiredOffset: number
}

export function appendBatch(task: AppendTask): Appended | Refusal | Promise<Appended | Refusal> {
  const { context, topic, replicas } = task
  if (replicas.leaderId !== context.brokerId) return refusal(NOT_LEADER_OR_FOLLOWER)
  const minIsr = Math.min(topic.config.number('min.insync.replicas'), replicas.replicas.length)
  if (task.acks === ALL && replicas.isr.length < minIsr) return refusalInLog(NOT_ENOUGH_REPLICAS)
  const sound = inspect(task.bytes, topic.config.rules(), context.cluster.clock.now())
  if (sound instanceof Promise) return sound.then((settled) => admit(task, settled))
  return admit(task, sound)
}

/** Under the log lock. A leader that changed while a codec worked is noticed here. */
function admit(task: AppendTask, sound: SoundBatch | Refusal): Appended | Refusal {
  if (isRefusal(sound)) return sound
  const { context, replicas } = task
  if (replicas.leaderId !== context.brokerId) return refusal(NOT_LEADER_OR_FOLLOWER)
  const { header } = sound
  if (header.producerId >= 0n) {
    const known = replicas.log.producers.duplicateOf(header)
    if (known !== undefined) {
      const baseOffset = known.lastOffset - known.offsetDelta
      return { baseOffset, logAppendTimeMs: known.timestamp, requiredOffset: known.lastOffset + 1 }
    }
    const rule = context.cluster.profile.unknownProducer
    const code = replicas.log.producers.judge(header, rule, replicas.log.logEnd > 0)
    if (code !== 0) return refusalInLog(code)
  }
  return append(task, sound)
}

function append(task: AppendTask, sound: SoundBatch): Appended {
  const { topic, replicas, context } = task
  const nowMs = context.cluster.clock.now()
  const isLogAppendTime = topic.config.isLogAppendTime
  const baseOffset = replicas.log.logEnd
  patchPosition(sound.bytes, baseOffset, replicas.leaderEpoch)
  const maxTimestamp = settleTime(sound, isLogAppendTime, nowMs)
  const attributes = attributesOf(sound.bytes)
  const placement = { baseOffset, leaderEpoch: replicas.leaderEpoch, maxTimestamp, attributes, nowMs }
  const batch = storedBatch(sound.bytes, sound.header, placement)
  replicas.append(batch)
  const maxBytes = topic.config.number('retention.bytes')
  if (maxBytes >= 0) replicas.trim(maxBytes)
  const logAppendTimeMs = isLogAppendTime ? nowMs : NO_TIME
  return { baseOffset, logAppendTimeMs, requiredOffset: batch.lastOffset + 1 }
}

/** Who gives the time is the topic's setting, not the sender's; the CRC is redone only when something changed. */
function settleTime(sound: SoundBatch, isLogAppendTime: boolean, nowMs: number): number {
  const maxTimestamp = isLogAppendTime ? nowMs : sound.maxTimestamp
  if (isLogAppendTime !== hasLogAppendBit(sound.header) || maxTimestamp !== sound.header.maxTimestamp) {
    patchTime(sound.bytes, isLogAppendTime, maxTimestamp)
  }
  return maxTimestamp
}

function hasLogAppendBit(header: BatchHeader): boolean {
  return (header.attributes & LOG_APPEND_BIT) !== 0
}
