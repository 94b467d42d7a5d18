/** What the tests of streams share. */
import { createHash } from 'node:crypto'
import { ByteChannel, type ByteChannelOptions, ItemChannel } from '../../../lib/channel/index.js'
import type { MQError } from '../../../lib/errors/index.js'
import { seededRandom } from '../../../lib/util/index.js'

/** A window that no test outlives: what is readable was sealed on purpose. */
const NEVER_MS = 1_000_000

export function bytes(options: ByteChannelOptions = {}): ByteChannel {
  return new ByteChannel({ windowMs: NEVER_MS, ...options })
}

export function items<T>(options: { bufferMaxRecords?: number; onFull?: 'block' | 'reject' | 'dropOldest' } = {}) {
  return new ItemChannel<T>({ windowMs: NEVER_MS, ...options })
}

export function numbers(count: number): ItemChannel<number> {
  const channel = items<number>()
  for (let n = 0; n < count; n++) channel.write(n)
  channel.seal()
  return channel
}

export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

/** Turns of the event loop: promises, ticks and deferred tasks go on; nobody waits for time. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Bytes that compress by about a half, the same for each seed. */
export function sample(length: number, seed: number): Buffer {
  const random = seededRandom(seed)
  const sampled = Buffer.alloc(length)
  for (let at = 0; at < length; at++) sampled[at] = Math.floor(random.next() * 16)
  return sampled
}

export const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

export function errorsOf(channel: { on(name: 'error', listener: (error: MQError) => void): unknown }): MQError[] {
  const errors: MQError[] = []
  channel.on('error', (error) => void errors.push(error))
  return errors
}

/** Everything that comes; `Array.fromAsync` is too young. */
export async function all<T>(records: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const record of records) collected.push(record)
  return collected
}
