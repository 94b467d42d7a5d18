/**
 * Damaged messages: every sample of every message, cut at every length class and with bytes replaced by the values
 * that hurt (huge lengths, negative counts, endless varints), either decodes or throws our error. The measure of
 * "does not over-allocate" is the number of values that come out of so many bytes. Source: kafka.md W-15.
 */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import {
  ALL_APIS,
  type Api,
  apiOf,
  ByteReader,
  compile,
  decodeRequest,
  type Message,
} from '../../lib/protocol/index.js'
import { type RandomSource, randomInt, seededRandom } from '../../lib/util/index.js'
import { fixture, hasVectors, unhex, vectorFiles, vectors } from '../support/vectors.js'

interface Sample {
  hex: string
}
interface Case {
  key: number
  versions: { v: number; request: Sample[]; response: Sample[] }[]
}

const SEED = Number(process.env.SEED ?? 1)
const MUTATIONS = 12
/** A field of an absent tagged struct costs no byte, so a small frame may hold more values than bytes. */
const VALUES_PER_BYTE = 8
const VALUES_AT_LEAST = 400
/** Far above what a decode takes (microseconds), far below what a claimed count of 2^31 would. */
const LIMIT_MS = 2000

const cases: Case[] = hasVectors
  ? vectorFiles('messages').map((file) => vectors(`messages/${file}`))
  : fixture('messages.json')

function valuesIn(value: unknown): number {
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return 1
  let count = 1
  for (const inner of Object.values(value)) count += valuesIn(inner)
  return count
}

const HURTING = [0x00, 0x01, 0x7f, 0x80, 0xff]

/** One damage: a byte, a run of one byte (lengths and varints), or a piece taken out. */
function damaged(bytes: Uint8Array, random: RandomSource): Uint8Array {
  const copy = Uint8Array.from(bytes)
  if (copy.length === 0) return Uint8Array.of(0xff)
  const at = randomInt(random, copy.length)
  const value = HURTING[randomInt(random, HURTING.length)] as number
  switch (randomInt(random, 4)) {
    case 0:
      copy[at] = randomInt(random, 256)
      return copy
    case 1:
      return copy.fill(value, at, at + 1 + randomInt(random, 8))
    case 2:
      return copy.subarray(0, at)
    default:
      return Uint8Array.from([...copy.subarray(0, at), ...copy.subarray(at + 1 + randomInt(random, 4))])
  }
}

type Outcome = 'decoded' | 'refused'

function outcome(where: string, bytes: Uint8Array, decode: () => unknown): Outcome {
  const start = performance.now()
  try {
    const values = valuesIn(decode())
    expect(values, where).toBeLessThan(VALUES_AT_LEAST + VALUES_PER_BYTE * bytes.length)
    return 'decoded'
  } catch (error) {
    if (!(error instanceof MQError))
      throw new Error(`${where}: ${Buffer.from(bytes).toString('hex')}`, { cause: error })
    expect(['MALFORMED_FRAME', 'UNSUPPORTED_VERSION'], where).toContain(error.context.reason)
    return 'refused'
  } finally {
    expect(performance.now() - start, where).toBeLessThan(LIMIT_MS)
  }
}

function attack(message: Message, version: number, sample: Sample, random: RandomSource): Record<Outcome, number> {
  const counts = { decoded: 0, refused: 0 }
  const whole = unhex(sample.hex)
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = damaged(whole, random)
    const where = `${message.name} v${version}, mutation ${i}; replay: SEED=${SEED}`
    counts[outcome(where, bytes, () => compile(message, version).read(new ByteReader(bytes)))]++
  }
  return counts
}

describe(`damaged messages (seed ${SEED})`, () => {
  it('W-15: a mutated message decodes or is refused as malformed, in bounded time and size', () => {
    const random = seededRandom(SEED)
    const total = { decoded: 0, refused: 0 }
    for (const { key, versions } of cases) {
      const { request, response } = apiOf(key) as Api
      for (const one of versions) {
        for (const [message, samples] of [[request, one.request] as const, [response, one.response] as const]) {
          for (const sample of samples) {
            const { decoded, refused } = attack(message, one.v, sample, random)
            total.decoded += decoded
            total.refused += refused
          }
        }
      }
    }
    expect(total.decoded).toBeGreaterThan(100)
    expect(total.refused).toBeGreaterThan(100)
  })

  it('W-15: a message cut anywhere is refused', () => {
    let refused = 0
    for (const { key, versions } of cases) {
      const { request, response } = apiOf(key) as Api
      const last = versions.at(-1) as Case['versions'][number]
      for (const [message, sample] of [[request, last.request[0]] as const, [response, last.response[0]] as const]) {
        const whole = unhex((sample as Sample).hex)
        for (let length = 0; length < whole.length; length++) {
          const bytes = whole.subarray(0, length)
          const where = `${message.name} v${last.v} cut to ${length} bytes`
          const result = outcome(where, bytes, () => compile(message, last.v).read(new ByteReader(bytes)))
          expect(result, where).toBe('refused')
          refused++
        }
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })

  it('W-15: random bytes as a request frame are refused, or mean something', () => {
    const random = seededRandom(SEED)
    for (let i = 0; i < 20_000; i++) {
      const bytes = Uint8Array.from({ length: randomInt(random, 64) }, () => randomInt(random, 256))
      const api = ALL_APIS[randomInt(random, ALL_APIS.length)] as Api
      if (bytes.length > 4) bytes.set([0, api.key, 0, randomInt(random, 14)], 0)
      outcome(`random frame ${i}; replay: SEED=${SEED}`, bytes, () => decodeRequest(bytes).body)
    }
  })

  it('W-15: a claimed count of elements is refused before anything is allocated for it', () => {
    const metadata = apiOf(3) as Api
    for (const [version, bytes] of [
      [4, '7fffffff01'],
      [4, '800000000000'],
      [12, 'ffffffff0f0000'],
      [12, 'ffffffffffffff'],
    ] as const) {
      const read = () => compile(metadata.request, version).read(new ByteReader(unhex(bytes)))
      expect(read).toThrow(expect.objectContaining({ code: 'CONNECTION_FAILED' }))
    }
  })
})
