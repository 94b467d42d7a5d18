import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MemoryBudget } from '../../lib/channel/index.js'
import type { CompressionCodec } from '../../lib/codec/index.js'
import { Batch } from '../../lib/producer/batch.js'
import { BatchMemory } from '../../lib/producer/batch-memory.js'
import { type CompressionPlan, finishBatch } from '../../lib/producer/finish-batch.js'
import { RecordTime } from '../../lib/producer/record-clock.js'
import { bytesLength } from '../../lib/protocol/index.js'

function countingCodec(type: 'lz4' | 'gzip', ratio: number): CompressionCodec & { calls: number } {
  return {
    type,
    id: type === 'lz4' ? 3 : 1,
    calls: 0,
    compress(bytes) {
      this.calls++
      return new Uint8Array(Math.ceil(bytes.length * ratio))
    },
    decompress: (bytes) => bytes,
  }
}

const planOf = (codec: CompressionCodec): CompressionPlan => ({
  codec,
  level: undefined,
  optimizeForSmallMessages: true,
  smallMessageThresholdBytes: 1024,
})

function sealedBatch(memory: BatchMemory, valueBytes: number): Batch {
  const batch = new Batch()
  memory.grow(batch, valueBytes + 200, 0)
  const value = randomBytes(valueBytes)
  const time = new RecordTime()
  batch.append(batch.bodyBytesOf(time, -1, bytesLength(value), 1), time, null, -1, value, value.length, null)
  return batch
}

const newMemory = (limitBytes = 1 << 24) => new BatchMemory(new MemoryBudget({ limitBytes }))

/** These codecs answer at once. */
function finishNow(...args: Parameters<typeof finishBatch>): void {
  expect(finishBatch(...args)).toBeNull()
}

describe('finishBatch', () => {
  it('PR-15, R-2, P-11: a result that is not smaller is dropped and the batch leaves raw', () => {
    const memory = newMemory()
    const batch = sealedBatch(memory, 5000)
    finishNow(batch, planOf(countingCodec('lz4', 1)), { skip: 0 }, memory)
    expect(batch.codecId).toBe(0)
    expect(batch.wireBytes).toBe(batch.plainBytes)
  })

  it('PR-15: after data that does not compress seven batches go untried, then the codec gets another chance', () => {
    const memory = newMemory()
    const codec = countingCodec('lz4', 1.01)
    const history = { skip: 0 }
    for (let round = 0; round < 17; round++) {
      const batch = sealedBatch(memory, 5000)
      finishNow(batch, planOf(codec), history, memory)
      expect(batch.codecId).toBe(0)
      memory.release(batch)
    }
    expect(codec.calls).toBe(3)
  })

  it('PR-15, CD-4: below 100 B raw, below the threshold only by the quick codecs', () => {
    const memory = newMemory()
    const codecIdOf = (type: 'lz4' | 'gzip', bytes: number) => {
      const batch = sealedBatch(memory, bytes)
      finishNow(batch, planOf(countingCodec(type, 0.5)), { skip: 0 }, memory)
      return batch.codecId
    }
    expect([codecIdOf('lz4', 50), codecIdOf('lz4', 500), codecIdOf('lz4', 5000)]).toEqual([0, 3, 3])
    expect([codecIdOf('gzip', 50), codecIdOf('gzip', 500), codecIdOf('gzip', 5000)]).toEqual([0, 0, 1])
  })

  it('P-4: without room for its result the codec is not asked, and the compressed form replaces the arena in the count', () => {
    const memory = newMemory(2 * 65_536)
    const codec = countingCodec('lz4', 0.5)
    const first = sealedBatch(memory, 60_000)
    const second = sealedBatch(memory, 60_000)
    finishNow(first, planOf(codec), { skip: 0 }, memory)
    expect([first.codecId, codec.calls]).toEqual([0, 0])
    memory.release(first)
    finishNow(second, planOf(codec), { skip: 0 }, memory)
    expect(second.codecId).toBe(3)
    expect(memory.budget.usedBytes).toBe(second.wireBytes)
    memory.release(second)
    expect(memory.budget.usedBytes).toBe(0)
  })
})
