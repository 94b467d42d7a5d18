/**
 * Values for the benchmark: like the JSON of a service, all different, made before the clock starts.
 * Why varied: one value repeated compresses to nothing, and random bytes not at all; neither says much about a service.
 * Invariant: the same size and seed give the same values in every process.
 */

/** Enough that no codec window holds all of them at 100 bytes (1.6 MB), few enough to stay in memory. */
const DISTINCT_VALUES = 16_384
const CITIES = ['Bergen', 'Kyoto', 'Lima', 'Nairobi', 'Porto', 'Quebec', 'Riga', 'Turin']
const WORDS = [
  'door',
  'left',
  'call',
  'first',
  'gift',
  'fragile',
  'no',
  'bell',
  'third',
  'floor',
  'back',
  'yard',
  'after',
  'six',
]
const STATES = ['created', 'paid', 'packed', 'shipped', 'delivered', 'returned']

/** A small fast generator (xorshift32); quality does not matter here, repeatability does. */
function generator(seed: number): () => number {
  let state = seed | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

export function makeValues(valueBytes: number, seed = 20_251): Buffer[] {
  const random = generator(seed)
  return Array.from({ length: DISTINCT_VALUES }, (_, index) => makeValue(valueBytes, index, random))
}

function makeValue(bytes: number, index: number, random: () => number): Buffer {
  const pick = (words: readonly string[]) => words[random() % words.length]
  const head = `{"id":${1_000_000 + index},"state":"${pick(STATES)}","city":"${pick(CITIES)}","cents":${random() % 100_000},"note":"`
  let text = head
  while (text.length < bytes - 2) text += `${pick(WORDS)} `
  return Buffer.from(`${text.slice(0, Math.max(0, bytes - 2))}"}`.slice(0, bytes), 'latin1')
}
