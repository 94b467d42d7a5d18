/**
 * The bytes that members of protocol type `consumer` exchange through the coordinator: subscription and assignment.
 * Why apart from lib/protocol: to a broker they are opaque, and they have versions of their own that nobody negotiates;
 * so each is read by the fields we know, whatever its version, and what a newer one appends is left unread.
 * Invariant: bytes of a peer end in a value or in an MQError, in time and memory bounded by their length.
 *
 *   subscription  version INT16  topics [STRING]  userData BYTES?  owned [topic [INT32]] (1+)  generation INT32 (2+)  rack STRING? (3+)
 *   assignment    version INT16  partitions [topic [INT32]]  userData BYTES?
 *   userData      cooperative-sticky: generation INT32      sticky: owned [topic [INT32]]  generation INT32
 *
 * Source: kafka.md 5.5; the schemas in kafka-clients.
 */
import type { AssignorName } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { ByteReader, ByteWriter } from '../../protocol/index.js'
import type { TopicPartition } from '../cursor.js'
import { compareText, type GroupMember } from './assignors/assignor.js'

const SUBSCRIPTION_VERSION = 3
const ASSIGNMENT_VERSION = 0
/** Smallest number of bytes of a list's element: a string, a topic with its partitions, an int32. */
const MIN_STRING_BYTES = 2
const MIN_TOPIC_BYTES = 6
const INT32_BYTES = 4
const NO_GENERATION = -1

export interface SubscriptionInput {
  readonly topics: readonly string[]
  /** Held now: always empty before an eager round. */
  readonly owned: readonly TopicPartition[]
  /** In which generation `owned` was assigned; -1: none. */
  readonly generation: number
  readonly rackId: string | null
  /** See `userDataOf`. Default none. */
  readonly userData?: Uint8Array | null
}

export interface Subscription {
  readonly version: number
  readonly topics: readonly string[]
  /** A view of the bytes read. */
  readonly userData: Uint8Array | null
  readonly owned: readonly TopicPartition[]
  /** -1 in versions that do not tell it. */
  readonly generation: number
  readonly rackId: string | null
}

/** Version 3, which every reader of an older version understands up to the fields it knows. */
export function encodeSubscription(input: SubscriptionInput): Uint8Array {
  const writer = new ByteWriter()
  writer.int16(SUBSCRIPTION_VERSION)
  writer.int32(input.topics.length)
  for (const topic of [...input.topics].sort(compareText)) writer.text16(topic)
  writeBytes(writer, input.userData ?? null)
  writePartitions(writer, [...input.owned].sort(comparePartitions))
  writer.int32(input.generation)
  if (input.rackId === null) writer.int16(-1)
  else writer.text16(input.rackId)
  return written(writer)
}

/** Throws INCONSISTENT_GROUP_PROTOCOL / MALFORMED_FRAME. */
export function decodeSubscription(bytes: Uint8Array): Subscription {
  return reading('subscription', bytes, (reader) => {
    const version = readVersion(reader)
    const topics = [...new Set(readList(reader, MIN_STRING_BYTES, () => readText(reader)))]
    const userData = readBytes(reader)
    // Some clients say version 1 and end here: a field that is missing altogether has its default.
    const has = (since: number) => version >= since && reader.remaining > 0
    const owned = has(1) ? readPartitions(reader) : []
    const generation = has(2) ? reader.int32() : NO_GENERATION
    const rackId = has(3) ? readNullableText(reader) : null
    return { version, topics, userData, owned, generation, rackId }
  })
}

/** Version 0: all later ones have the same fields. */
export function encodeAssignment(partitions: readonly TopicPartition[]): Uint8Array {
  const writer = new ByteWriter()
  writer.int16(ASSIGNMENT_VERSION)
  writePartitions(writer, partitions)
  writeBytes(writer, null)
  return written(writer)
}

/** No bytes at all: the leader has named nothing for us. Throws INCONSISTENT_GROUP_PROTOCOL / MALFORMED_FRAME. */
export function decodeAssignment(bytes: Uint8Array): TopicPartition[] {
  if (bytes.length === 0) return []
  return reading('assignment', bytes, (reader) => {
    readVersion(reader)
    return readPartitions(reader)
  })
}

/**
 * What an assignor wants to be told beside the subscription, so that a leader on an older version knows it too.
 * `previous`: what the member held last, which an eager one has given back by the time it joins.
 */
export function userDataOf(
  name: AssignorName,
  previous: readonly TopicPartition[],
  generation: number,
): Uint8Array | null {
  if (name !== 'sticky' && name !== 'cooperative-sticky') return null
  if (name === 'sticky' && generation < 0) return null // a first join: there was no assignment
  const writer = new ByteWriter()
  if (name === 'sticky') writePartitions(writer, [...previous].sort(comparePartitions))
  writer.int32(generation)
  return written(writer)
}

/**
 * A member as the assignor `name` sees it: what it owned, and when, stands in different places.
 * User data that cannot be read costs that member its stickiness, not the group its round.
 */
export function groupMember(
  name: AssignorName,
  memberId: string,
  instanceId: string | null,
  subscription: Subscription,
): GroupMember {
  const { topics, rackId } = subscription
  const { owned, generation } = claimsOf(name, subscription)
  return { memberId, instanceId, topics, owned, generation, rackId }
}

interface Claims {
  readonly owned: readonly TopicPartition[]
  readonly generation: number
}

function claimsOf(name: AssignorName, subscription: Subscription): Claims {
  const { owned, generation, userData } = subscription
  if (name === 'sticky') return readUserData(userData, readStickyData) ?? { owned: [], generation: NO_GENERATION }
  if (name !== 'cooperative-sticky' || generation >= 0) return { owned, generation }
  return { owned, generation: readUserData(userData, (reader) => reader.int32()) ?? NO_GENERATION }
}

/** Version 1 ends with a generation, version 0 before it. */
function readStickyData(reader: ByteReader): Claims {
  const owned = readPartitions(reader)
  return { owned, generation: reader.remaining >= INT32_BYTES ? reader.int32() : NO_GENERATION }
}

function readUserData<T>(userData: Uint8Array | null, read: (reader: ByteReader) => T): T | null {
  if (userData === null || userData.length === 0) return null
  try {
    return read(new ByteReader(userData))
  } catch (error) {
    if (error instanceof MQError) return null // another library's: see `groupMember`
    throw error
  }
}

function reading<T>(what: string, bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes)
  try {
    return read(reader)
  } catch (error) {
    if (!(error instanceof MQError)) throw error
    const text = `malformed ${what} of ${bytes.length} B at byte ${reader.at}: expected what protocol type 'consumer' writes; look which other client is in the group`
    const context = { reason: 'MALFORMED_FRAME', at: reader.at, bytes: bytes.length } as const
    throw new MQError('INCONSISTENT_GROUP_PROTOCOL', text, context, { cause: error })
  }
}

function readVersion(reader: ByteReader): number {
  const version = reader.int16()
  return version >= 0 ? version : reader.malformed('a version from 0', String(version))
}

function readText(reader: ByteReader): string {
  return reader.text(reader.int16())
}

function readNullableText(reader: ByteReader): string | null {
  const length = reader.int16()
  return length === -1 ? null : reader.text(length)
}

function readBytes(reader: ByteReader): Uint8Array | null {
  const length = reader.int32()
  return length === -1 ? null : reader.bytes(length)
}

function readList<T>(reader: ByteReader, minBytes: number, item: () => T): T[] {
  const items: T[] = []
  for (let left = reader.count(reader.int32(), minBytes); left > 0; left--) items.push(item())
  return items
}

/** Each partition once, however often it is named. */
function readPartitions(reader: ByteReader): TopicPartition[] {
  const byTopic = new Map<string, Set<number>>()
  readList(reader, MIN_TOPIC_BYTES, () => {
    const topic = readText(reader)
    const partitions = byTopic.get(topic) ?? new Set()
    byTopic.set(topic, partitions)
    readList(reader, INT32_BYTES, () => partitions.add(readPartition(reader)))
  })
  return [...byTopic].flatMap(([topic, partitions]) => [...partitions].map((partition) => ({ topic, partition })))
}

function readPartition(reader: ByteReader): number {
  const partition = reader.int32()
  return partition >= 0 ? partition : reader.malformed('a partition from 0', String(partition))
}

function writeBytes(writer: ByteWriter, bytes: Uint8Array | null): void {
  writer.int32(bytes === null ? -1 : bytes.length)
  if (bytes !== null) writer.bytes(bytes)
}

/** Topics in the order in which they first occur. */
function writePartitions(writer: ByteWriter, partitions: readonly TopicPartition[]): void {
  const byTopic = new Map<string, number[]>()
  for (const { topic, partition } of partitions) {
    const ofTopic = byTopic.get(topic)
    if (ofTopic === undefined) byTopic.set(topic, [partition])
    else ofTopic.push(partition)
  }
  writer.int32(byTopic.size)
  for (const [topic, ofTopic] of byTopic) {
    writer.text16(topic)
    writer.int32(ofTopic.length)
    for (const partition of ofTopic) writer.int32(partition)
  }
}

function written(writer: ByteWriter): Uint8Array {
  return Buffer.concat(writer.finish())
}

function comparePartitions(a: TopicPartition, b: TopicPartition): number {
  return compareText(a.topic, b.topic) || a.partition - b.partition
}
