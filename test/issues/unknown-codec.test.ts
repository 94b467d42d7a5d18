/**
 * A batch under a codec that nobody registered was told as CONSUME_FAILED/CORRUPT_BATCH, as if its bytes were damaged,
 * and the cause was INVALID_CONFIG. Found with such a batch on the disk of a real Kafka.
 */
import { expect, it } from 'vitest'
import { codecById, decompressWithin } from '../../lib/codec/index.js'

it('CD-1: a codec that nobody registered is DECOMPRESSION_FAILED, reason CODEC_UNAVAILABLE', () => {
  const expected = expect.objectContaining({
    code: 'DECOMPRESSION_FAILED',
    context: expect.objectContaining({ reason: 'CODEC_UNAVAILABLE', id: 6 }),
  })
  expect(() => codecById(6)).toThrow(expected)
  expect(() => decompressWithin()(6, new Uint8Array(1), 2)).toThrow(expected)
})
