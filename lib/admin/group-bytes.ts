/**
 * The assignment that the leader of a classic group wrote for a member.
 * Why a reader of its own: to the broker these bytes are opaque, and other libraries write them too. Bytes that are not
 * of protocol type `consumer`, or damaged, give an empty assignment: a description must not fail for one odd member.
 *
 *   assignment    version INT16  partitions [topic [INT32]]  userData BYTES?
 */
import { MQError } from '../errors/index.js'
import { ByteReader } from '../protocol/index.js'
import type { GroupPartition } from './types.js'

const MIN_TOPIC_BYTES = 6
const INT32_BYTES = 4

export function readAssignment(bytes: Uint8Array): GroupPartition[] {
  if (bytes.length === 0) return []
  try {
    return sorted(read(new ByteReader(bytes)))
  } catch (error) {
    if (error instanceof MQError) return []
    throw error
  }
}

export function sorted(partitions: readonly GroupPartition[]): GroupPartition[] {
  return [...partitions].sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}

function read(reader: ByteReader): GroupPartition[] {
  const found: GroupPartition[] = []
  reader.int16() // Later versions append fields; those we know stay where they are.
  for (let topics = reader.count(reader.int32(), MIN_TOPIC_BYTES); topics > 0; topics--) {
    const topic = reader.text(reader.int16())
    for (let left = reader.count(reader.int32(), INT32_BYTES); left > 0; left--) {
      found.push({ topic, partition: reader.int32() })
    }
  }
  return found
}
