/**
 * Reads what consumers put into the opaque bytes of a group: subscriptions and assignments.
 * Why so little: a broker needs the topics of a subscription only to protect offsets in use, and the assignment only to
 * show it. Whatever follows the known fields belongs to newer versions.
 * Source: kafka.md 5.5 (subscription and assignment of protocol type `consumer`).
 */
import { MQError } from '../../errors/index.js'
import { ByteReader } from '../../protocol/index.js'

export interface AssignedPartition {
  readonly topic: string
  readonly partition: number
}

/** Topics of a subscription; null when the bytes are something else. */
export function subscribedTopics(metadata: Uint8Array): readonly string[] | null {
  return orNull(() => {
    const reader = new ByteReader(metadata)
    reader.int16() // version
    return list(reader, () => text(reader))
  })
}

/** Partitions of an assignment; null when the bytes are something else. */
export function assignedPartitions(assignment: Uint8Array): readonly AssignedPartition[] | null {
  if (assignment.length === 0) return []
  return orNull(() => {
    const reader = new ByteReader(assignment)
    reader.int16() // version
    return list(reader, () => {
      const topic = text(reader)
      return list(reader, () => ({ topic, partition: reader.int32() }))
    }).flat()
  })
}

function orNull<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (error instanceof MQError) return null // not what a consumer writes: then nothing is known
    throw error
  }
}

function list<T>(reader: ByteReader, item: () => T): T[] {
  const items: T[] = []
  for (let left = reader.int32(); left > 0; left--) items.push(item())
  return items
}

function text(reader: ByteReader): string {
  return reader.text(Math.max(0, reader.int16()))
}
