/** Bytes from the broker's own chance, so that a seeded broker says the same salts and nonces again. Not for real secrets. */
import { type RandomSource, randomInt } from '../../util/index.js'

export function randomBytesOf(random: RandomSource, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => randomInt(random, 256)))
}
