/** Broken batches are refused (or silently partial) wherever Apache Kafka 4.1.1 refuses them (R-6, W-15). */
import { decompressWithin } from 'tandem-mq/codec'
import { MQError } from 'tandem-mq/errors'
import { RecordCursor, readBatchHeader, recordsOf } from 'tandem-mq/protocol'
import { randomInt, seededRandom } from 'tandem-mq/util'
import { describe, expect, it } from 'vitest'
import { bytesOf, type HexParts } from '../support/batch-bytes.js'
import { hasVectors, vectors } from '../support/vectors.js'

interface Verdict {
  batches: number
  records: number
  exception: string | null
  at?: string
}

interface BadCase {
  name: string
  note: string
  hex: string
  javaCheckCrcs: Verdict
  javaNoCheckCrcs: Verdict
}

const cases: BadCase[] = vectors('bad-batches.json')?.cases ?? []
const good: { name: string; bytes: HexParts; size: number }[] = vectors('record-batches.json')?.cases ?? []
const CEILING = 4 * 1024 * 1024
const decompress = decompressWithin(CEILING)

interface Outcome {
  readonly batches: number
  readonly records: number
  readonly error: unknown
}

/** Reads as a consumer would: headers, then records, until the end, a partial batch or an error. */
async function readAll(bytes: Uint8Array, checkCrcs: boolean): Promise<Outcome> {
  const cursor = new RecordCursor()
  let batches = 0
  let records = 0
  try {
    for (let at = 0; ; ) {
      const header = readBatchHeader(bytes, at, checkCrcs)
      if (header === 'partial') return { batches, records, error: null }
      expect(header.nextOffset, 'a reader moves forward').toBeGreaterThan(header.baseOffset)
      batches++
      cursor.open(header, await recordsOf(bytes, header, decompress))
      while (cursor.next()) {
        records++
        cursor.key()
        cursor.value()
        cursor.headers()
        cursor.exactTimestamp()
      }
      at += header.sizeInBytes
    }
  } catch (error) {
    return { batches, records, error }
  }
}

function expectMQError(error: unknown, context: string): void {
  expect(error, context).toBeInstanceOf(MQError)
  const { code, context: facts } = error as MQError
  if (code === 'CONSUME_FAILED') expect(facts.reason, context).toBe('CORRUPT_BATCH')
  else expect(code, context).toBe('DECOMPRESSION_FAILED')
}

const matrix = cases.flatMap((one) => [
  { name: one.name, crcs: 'with CRC checks', checkCrcs: true, hex: one.hex, java: one.javaCheckCrcs },
  { name: one.name, crcs: 'without CRC checks', checkCrcs: false, hex: one.hex, java: one.javaNoCheckCrcs },
])

describe.skipIf(!hasVectors)('R-6 broken batches', () => {
  it('there are cases', () => {
    expect(cases.length).toBeGreaterThan(50)
  })

  it.each(matrix)('$name $crcs: the verdict is Java’s', async ({ name, checkCrcs, hex, java }) => {
    const outcome = await readAll(Buffer.from(hex, 'hex'), checkCrcs)
    if (java.exception === null) {
      expect(outcome).toEqual({ batches: java.batches, records: java.records, error: null })
    } else {
      expectMQError(outcome.error, name)
      expect(outcome.records).toBeLessThanOrEqual(java.records)
    }
  })
})

/** Batches small enough to be mutated often, of every codec and magic. */
const mutable = good.filter((one) => one.size < 3000)

describe.skipIf(!hasVectors)('W-15 damaged batches', () => {
  it.each(mutable)('$name: 60 damaged copies end in an MQError or are read, without CRC checks', async (one) => {
    const original = bytesOf(one.bytes)
    const random = seededRandom(original.length * 7919 + (original.at(-1) ?? 0))
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(original)
      const cut = randomInt(random, 4) === 0 ? randomInt(random, bytes.length) : bytes.length
      for (let changes = 1 + randomInt(random, 4); changes > 0; changes--) {
        bytes[randomInt(random, bytes.length)] = randomInt(random, 3) === 0 ? 255 : randomInt(random, 256)
      }
      const outcome = await readAll(bytes.subarray(0, cut), false)
      if (outcome.error !== null) expectMQError(outcome.error, `${one.name}, round ${round}`)
    }
  })

  it('the CRC notices every single damaged byte behind it', async () => {
    const original = bytesOf((good.find((one) => one.name === 'three-records-lz4') as { bytes: HexParts }).bytes)
    for (let at = 17; at < original.length; at++) {
      const bytes = Buffer.from(original)
      bytes[at] = (bytes[at] as number) ^ 1
      const outcome = await readAll(bytes, true)
      expect(outcome.error, `byte ${at}`).toMatchObject({
        code: 'CONSUME_FAILED',
        context: { reason: 'CORRUPT_BATCH' },
      })
    }
  })
})
