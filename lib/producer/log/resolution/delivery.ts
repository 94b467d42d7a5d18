/**
 * One stored batch to the leader, once: the bytes of the log as they are, with identity and CRC filled in where a BIND
 * gave them later.
 * Why on the produce connection: an acknowledgement may take as long as the replicas do, and questions of the control
 * plane must not wait behind it.
 * Invariant: bytes are read when there is room to send them, and let go with the answer: one batch per stream in memory.
 * Source: wal.md 1.2 (C2), 2.5.
 */
import { judgeProduce, type ProduceVerdict } from '../../../cluster/index.js'
import { type MQError, toMQError } from '../../../errors/index.js'
import {
  BATCH_HEADER_BYTES,
  type DecodedResponseOf,
  kafkaError,
  Produce,
  type RequestOf,
  writeIdentity,
  ZERO_UUID,
} from '../../../protocol/index.js'
import { crc32c } from '../../../util/index.js'
import type { Entry, StreamFacts } from '../../../wal/index.js'
import { walError } from '../../../wal/index.js'
import { Interruption } from './interruption.js'
import type { Leader, Place } from './place.js'
import type { ResolutionParts } from './types.js'

export type Answer =
  | {
      readonly kind: 'ok'
      readonly code: number
      readonly baseOffset: number
      readonly logAppendTimeMs: number
      /** Of the bytes that were sent: tells our batch from another under the same identity. */
      readonly crc: number
    }
  | { readonly kind: 'refused'; readonly code: number; readonly verdict: ProduceVerdict }
  /** No answer, or one that only says "later". `isUnsure`: the bytes may have been taken. */
  | {
      readonly kind: 'again'
      readonly code: number
      /** null: no broker said anything. */
      readonly verdict: ProduceVerdict | null
      readonly isUnsure: boolean
      readonly why: string
    }
  /** The log cannot give the bytes back. */
  | { readonly kind: 'damaged'; readonly error: MQError }

type ProduceAnswer = DecodedResponseOf<typeof Produce>
type PartitionAnswer = ProduceAnswer['responses'][number]['partitionResponses'][number]

/** Topic ids travel instead of names from this version on. */
const FIRST_VERSION_BY_ID = 13
const ALL_REPLICAS = -1
const INCONSISTENT_CLUSTER_ID = 104
/** Of a locally failed attempt: none of the broker's numbers. */
const NO_CODE = 0
const CRC_AT = 17
const CRC_FROM = 21

export async function deliver(
  entry: Entry,
  leader: Leader,
  stream: StreamFacts,
  place: Place,
  parts: ResolutionParts,
): Promise<Answer> {
  const { cluster, requestTimeoutMs } = parts
  const link = cluster.link(leader.brokerId, 'produce')
  try {
    if (!link.hasRoom) await place.withoutSlot(() => link.whenRoom(requestTimeoutMs))
  } catch (error) {
    return unanswered(error)
  }
  const bytes = await wireBytes(entry, parts)
  if (!(bytes instanceof Uint8Array)) return bytes
  const { topicId } = place
  const known = link.versionOf(Produce)
  const version = topicId === ZERO_UUID && known >= FIRST_VERSION_BY_ID ? FIRST_VERSION_BY_ID - 1 : known
  const partitionData = [{ index: stream.partition, records: bytes }]
  const body: RequestOf<typeof Produce> = {
    transactionalId: null,
    acks: ALL_REPLICAS,
    timeoutMs: requestTimeoutMs,
    topicData: [version >= FIRST_VERSION_BY_ID ? { topicId, partitionData } : { name: stream.topic, partitionData }],
  }
  let response: ProduceAnswer
  try {
    response = await link.request(Produce, body, { version, limitMs: requestTimeoutMs })
  } catch (error) {
    return unanswered(error)
  }
  return read(response, bytes, stream, parts)
}

function read(response: ProduceAnswer, bytes: Uint8Array, stream: StreamFacts, { cluster }: ResolutionParts): Answer {
  const answer = response.responses[0]?.partitionResponses[0]
  if (answer === undefined || answer.index !== stream.partition) {
    return {
      kind: 'again',
      code: NO_CODE,
      verdict: null,
      isUnsure: true,
      why: 'a broker answered without naming the partition',
    }
  }
  const code = answer.errorCode
  const verdict = judgeProduce(code)
  if (code === INCONSISTENT_CLUSTER_ID) throw new Interruption('otherCluster')
  if (verdict.action === 'ok') {
    const { baseOffset, logAppendTimeMs } = answer
    const crc = new DataView(bytes.buffer, bytes.byteOffset).getUint32(CRC_AT)
    return { kind: 'ok', code, baseOffset, logAppendTimeMs, crc }
  }
  const isLater = verdict.action === 'retry' || verdict.action === 'refresh'
  // Refused credentials are nothing of the batch's: whoever runs this mends them, and it goes on.
  const isOurs = verdict.action === 'dead' && !verdict.provesNotWritten
  if (!isLater && !isOurs) return { kind: 'refused', code, verdict }
  takeHint(answer, response, stream, cluster)
  const why = `a broker answered ${kafkaError(code).name}`
  return { kind: 'again', code, verdict: isOurs ? null : verdict, isUnsure: !verdict.provesNotWritten, why }
}

function takeHint(
  { currentLeader }: PartitionAnswer,
  { nodeEndpoints }: ProduceAnswer,
  { topic, partition }: StreamFacts,
  cluster: ResolutionParts['cluster'],
): void {
  if (currentLeader.leaderId < 0) return
  cluster.applyLeaderHint(topic, partition, currentLeader.leaderId, currentLeader.leaderEpoch, nodeEndpoints)
}

function unanswered(cause: unknown): Answer {
  const error = toMQError(cause, 'CONNECTION_CLOSED', 'a produce request ended unexpectedly')
  return {
    kind: 'again',
    code: NO_CODE,
    verdict: null,
    isUnsure: error.context.wasSent !== 'no',
    why: error.message,
  }
}

/** The bytes that have gone, or were to go, over the wire (C2). */
async function wireBytes(entry: Entry, { wal }: ResolutionParts): Promise<Uint8Array | Answer> {
  try {
    const bytes = await wal.read(entry.lsn)
    if (bytes.length < BATCH_HEADER_BYTES) throw shortBody(entry, bytes.length)
    return withIdentity(bytes, entry)
  } catch (error) {
    return {
      kind: 'damaged',
      error: toMQError(error, 'DECOMPRESSION_FAILED', `the log could not give LSN ${entry.lsn} back`),
    }
  }
}

function withIdentity(bytes: Uint8Array, entry: Entry): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isSame =
    view.getBigInt64(43) === entry.producerId &&
    view.getInt16(51) === entry.epoch &&
    view.getInt32(53) === entry.baseSequence
  if (isSame) return bytes
  const bound = new Uint8Array(bytes) // A copy: what the log gave is its own.
  const own = new DataView(bound.buffer)
  writeIdentity(own, entry.producerId, entry.epoch, entry.baseSequence)
  own.setUint32(CRC_AT, crc32c(bound.subarray(CRC_FROM)))
  return bound
}

function shortBody(entry: Entry, bytes: number): MQError {
  const text = `the frame with LSN ${entry.lsn} holds ${bytes} B, which is no record batch: run \`tandem-mq wal verify\``
  return walError('WAL_CORRUPT', text, { lsn: entry.lsn, segment: entry.segment, bytes })
}
