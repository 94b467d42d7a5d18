/**
 * The common form in which every reader of the integration tests gives back what a topic holds.
 * Invariant: bytes stay bytes, null stays null, and headers keep order and duplicates, as far as the reader can see them.
 */

export type ReadHeader = readonly [name: string, value: Buffer | null]

export interface ReadRecord {
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly ReadHeader[]
}

/** By partition, then offset. */
export function inLogOrder(records: readonly ReadRecord[]): ReadRecord[] {
  return [...records].sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** A record as plain text, for comparisons that show a readable difference. */
export interface ShownRecord {
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly headers: readonly (readonly [string, string | null])[]
}

export function show(record: Pick<ReadRecord, 'key' | 'value' | 'timestamp' | 'headers'>): ShownRecord {
  return {
    key: text(record.key),
    value: text(record.value),
    timestamp: record.timestamp,
    headers: record.headers.map(([name, value]) => [name, text(value)] as const),
  }
}

/** latin1 maps every byte to one character: nothing is lost, and ASCII stays readable. */
const text = (bytes: Buffer | null): string | null => (bytes === null ? null : bytes.toString('latin1'))

/** kafkajs gives headers as an object: names in order of first appearance, values in order below each. */
export function groupedByName<T>(headers: readonly (readonly [string, T])[]): (readonly [string, T])[] {
  const values = new Map<string, T[]>()
  for (const [name, value] of headers) {
    const known = values.get(name)
    if (known === undefined) values.set(name, [value])
    else known.push(value)
  }
  return [...values].flatMap(([name, list]) => list.map((value) => [name, value] as const))
}
