/** Batches for broker tests, written by hand and not by the client's writer. */
import { crc32c } from '../../lib/util/index.js'

/** Pairs in their order, duplicates included. */
export type HeaderSpec = readonly (readonly [name: string, value: string | null])[]

export interface BatchSpec {
  readonly values: readonly (string | null)[]
  readonly keys?: readonly (string | null)[]
  /** Of each record. */
  readonly headers?: readonly HeaderSpec[]
  readonly producerId?: bigint
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly timestamp?: number
  readonly timestamps?: readonly number[]
  readonly attributes?: number
}

export const NOW = 1_700_000_000_000

export function makeBatch(spec: BatchSpec): Buffer {
  const times = spec.timestamps ?? spec.values.map(() => spec.timestamp ?? NOW)
  const base = times[0] ?? 0
  const records = spec.values.map((value, index) =>
    record(index, (times[index] as number) - base, spec.keys?.[index] ?? null, value, spec.headers?.[index] ?? []),
  )
  const header = Buffer.alloc(61)
  const body = Buffer.concat(records)
  header.writeInt32BE(49 + body.length, 8)
  header.writeInt32BE(-1, 12)
  header.writeInt8(2, 16)
  header.writeInt16BE(spec.attributes ?? 0, 21)
  header.writeInt32BE(spec.values.length - 1, 23)
  header.writeBigInt64BE(BigInt(base), 27)
  header.writeBigInt64BE(BigInt(Math.max(...times)), 35)
  header.writeBigInt64BE(spec.producerId ?? -1n, 43)
  header.writeInt16BE(spec.producerEpoch ?? -1, 51)
  header.writeInt32BE(spec.baseSequence ?? -1, 53)
  header.writeInt32BE(spec.values.length, 57)
  const batch = Buffer.concat([header, body])
  batch.writeUInt32BE(crc32c(batch.subarray(21)) >>> 0, 17)
  return batch
}

function record(
  offsetDelta: number,
  timestampDelta: number,
  key: string | null,
  value: string | null,
  headers: HeaderSpec,
): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(timestampDelta),
    varint(offsetDelta),
    blob(key),
    blob(value),
    varint(headers.length),
    ...headers.flatMap(([name, text]) => [blob(name), blob(text)]),
  ])
  return Buffer.concat([varint(body.length), body])
}

function blob(text: string | null): Buffer {
  if (text === null) return varint(-1)
  const bytes = Buffer.from(text)
  return Buffer.concat([varint(bytes.length), bytes])
}

/** Zigzag, by BigInt: slow and plain, so that it shares no trick with the code under test. */
function varint(value: number): Buffer {
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  const bytes: number[] = []
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}
