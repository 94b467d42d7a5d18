/** Chance as an argument: production uses `Math.random`, tests a seed. */
export interface RandomSource {
  /** Uniform in [0, 1). */
  next(): number
}

export const systemRandom: RandomSource = { next: () => Math.random() }

/** splitmix32: small, fast, good enough for jitter, partitions and test data; not for secrets. */
export function seededRandom(seed: number): RandomSource {
  let state = seed | 0
  return {
    next() {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return ((z ^ (z >>> 15)) >>> 0) / 4294967296
    },
  }
}

/** Integer in [0, bound). */
export function randomInt(random: RandomSource, bound: number): number {
  return Math.floor(random.next() * bound)
}
