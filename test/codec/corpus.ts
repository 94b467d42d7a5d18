/** Data of every kind a codec meets, from a seed. */
import { seededRandom } from 'tandem-mq/util'

export type Kind = 'json' | 'random' | 'zeros' | 'mixed'

/** Sizes around the block limits of the codecs (16 KiB to the pool, 64 KiB blocks). */
export const SIZES = [0, 1, 2, 15, 16, 100, 16_384, 16_385, 65_535, 65_536, 65_537, 131_072, 300_001, 1_048_576]

export function corpus(kind: Kind, size: number, seed = 7): Uint8Array {
  if (kind === 'zeros') return new Uint8Array(size)
  const random = seededRandom(seed)
  const bytes = new Uint8Array(size)
  if (kind === 'json') return fillJson(bytes, random.next)
  for (let at = 0; at < size; at++) bytes[at] = random.next() * 256
  if (kind === 'mixed') fillJson(bytes.subarray(Math.floor(size / 3), Math.floor(size / 2)), random.next)
  return bytes
}

function fillJson(bytes: Uint8Array, next: () => number): Uint8Array {
  const target = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < target.length; ) {
    at += target.write(`{"id":${Math.floor(next() * 1e6)},"currency":"EUR","status":"paid"}\n`, at, 'latin1')
  }
  return bytes
}

/** The error a call throws or rejects with. Fails when it succeeds. */
export async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  throw new Error('the call succeeded')
}
