import { describe, expect, it } from 'vitest'
import { createCompressionCodec } from '../../../lib/codec/index.js'
import { AbortedTransactions } from '../../../lib/consumer/fetch/aborted.js'
import { scanBatches } from '../../../lib/consumer/fetch/scan.js'
import { PartitionReader } from '../../../lib/consumer/records/partition-reader.js'
import { MQError } from '../../../lib/errors/index.js'
import { withCrc } from '../../support/batch-bytes.js'
import { controlBatch, emptiedBatch, numbered, storedBatch } from '../batches.js'

const settings = { copies: true, checkCrcs: true, keyDeserializer: undefined, valueDeserializer: undefined }

function reader(position = 0, more: object = {}): { reader: PartitionReader; freed: () => number } {
  let freed = 0
  const made = new PartitionReader('t', 3, { ...settings, ...more }, (bytes) => {
    freed += bytes
  })
  made.position = position
  return { reader: made, freed: () => freed }
}

function push(target: PartitionReader, ...batches: Buffer[]): number {
  const bytes = Buffer.concat(batches)
  target.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
  return bytes.length
}

/** `offset:value` of everything that can be read now. */
async function drain(target: PartitionReader): Promise<string[]> {
  const read: string[] = []
  for (;;) {
    const record = target.next()
    if (record !== null) {
      read.push(`${record.offset}:${String(record.value)}`)
      continue
    }
    const opened = target.openNext()
    if (opened === 'end') return read
    if (opened instanceof Promise) await opened
  }
}

function reasonOf(action: () => unknown): unknown {
  try {
    action()
    return 'no error'
  } catch (error) {
    return error instanceof MQError ? error.context.reason : error
  }
}

describe('PartitionReader', () => {
  it('CO-3: gives the records of several chunks in order and frees every byte once', async () => {
    const { reader: target, freed } = reader()
    const total = push(target, numbered(0, 3), numbered(3, 2)) + push(target, numbered(5, 1))
    expect(target.bufferedBytes).toBe(total)
    expect(await drain(target)).toEqual(['0:0', '1:1', '2:2', '3:3', '4:4', '5:5'])
    expect([target.position, target.bufferedBytes, freed(), target.hasData]).toEqual([6, 0, total, false])
  })
  it('R-7: records below the position are stepped over, a batch before it is not even opened', async () => {
    const { reader: target } = reader(4)
    const broken = numbered(0, 3)
    broken[70] = (broken[70] as number) ^ 0xff
    push(target, withCrc(broken), numbered(3, 3))
    expect(await drain(target)).toEqual(['4:4', '5:5'])
  })
  it('C-12: gaps, emptied batches and compacted tails advance the position without records', async () => {
    const { reader: target, freed } = reader()
    const tail = storedBatch({ baseOffset: 2, values: ['a'], lastOffset: 9 })
    const total = push(target, emptiedBatch(0, 1), tail, emptiedBatch(10, 99))
    expect(await drain(target)).toEqual(['2:a'])
    expect([target.position, freed()]).toEqual([100, total])
  })
  it('C-10: control batches are never handed out, the position goes behind them', async () => {
    const { reader: target } = reader()
    push(target, numbered(0, 1), controlBatch(1, 'commit', 5n), controlBatch(2, 'abort', 6n), numbered(3, 1))
    expect(await drain(target)).toEqual(['0:0', '3:3'])
  })
  it('C-10: read_committed leaves out aborted transactions, and only until their marker', async () => {
    const { reader: target } = reader()
    const of = (baseOffset: number, producerId: bigint) =>
      storedBatch({ baseOffset, values: [`p${producerId}`], producerId, producerEpoch: 0, attributes: 0x10 })
    const bytes = Buffer.concat([
      of(0, 1n),
      of(1, 2n),
      of(2, 1n),
      controlBatch(3, 'abort', 1n),
      of(4, 1n),
      controlBatch(5, 'commit', 2n),
      controlBatch(6, 'commit', 1n),
      numbered(7, 1),
    ])
    const aborted = new AbortedTransactions([{ producerId: 1n, firstOffset: 0 }])
    target.push({ bytes, length: bytes.length, arrivedMs: 0, aborted })
    expect(await drain(target)).toEqual(['1:p2', '4:p1', '7:7'])
  })
  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('C-7: reads %s batches', async (type) => {
    const { reader: target } = reader()
    const plain = numbered(0, 50)
    const codec = createCompressionCodec(type)
    const packed = await codec.compress(plain.subarray(61))
    const batch = Buffer.concat([plain.subarray(0, 61), packed])
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt16BE(codec.id, 21)
    push(target, withCrc(batch), numbered(50, 1))
    const read = await drain(target)
    expect([read.length, read[49], read[50]]).toEqual([51, '49:49', '50:50'])
  })
  it('C-8: a flipped byte is a CORRUPT_BATCH, and without checkCrcs it is not looked for', async () => {
    const flipped = numbered(0, 1)
    flipped[flipped.length - 2] = 0x39
    const { reader: target } = reader()
    push(target, flipped)
    expect(() => target.openNext()).toThrow(expect.objectContaining({ code: 'CONSUME_FAILED' }) as Error)
    const lenient = reader(0, { checkCrcs: false }).reader
    push(lenient, flipped)
    expect(await drain(lenient)).toEqual(['0:9'])
  })
  it('C-8: what throws once throws again at the same place, until it is cleared', () => {
    const { reader: target, freed } = reader()
    const flipped = numbered(0, 1)
    flipped[65] = 0xee
    const total = push(target, flipped)
    for (let round = 0; round < 2; round++) {
      expect(reasonOf(() => target.openNext())).toBe('CORRUPT_BATCH')
    }
    target.clear(0)
    expect([freed(), target.openNext()]).toEqual([total, 'end'])
  })
  it('C-13: a decompression that ends after a clear opens nothing', async () => {
    const { reader: target } = reader()
    const plain = numbered(0, 20_000)
    const packed = await createCompressionCodec('zstd').compress(plain.subarray(61))
    const batch = Buffer.concat([plain.subarray(0, 61), packed])
    batch.writeInt32BE(batch.length - 12, 8)
    batch.writeInt16BE(4, 21)
    push(target, withCrc(batch))
    const opened = target.openNext()
    target.clear(7)
    if (opened instanceof Promise) await opened
    expect([target.next(), target.position, target.hasData]).toEqual([null, 7, false])
  })
})

describe('unpin', () => {
  it('C-42: old small parts of an answer move into memory of their own, also in the middle of a batch', async () => {
    const answer = Buffer.alloc(200_000)
    const own = Buffer.concat([numbered(0, 3), numbered(3, 2)])
    answer.set(own, 1_000)
    const { reader: target } = reader()
    const chunk = {
      bytes: answer.subarray(1_000, 1_000 + own.length),
      length: own.length,
      arrivedMs: 50,
      aborted: null,
    }
    target.push(chunk)
    expect(target.openNext()).toBe('records')
    const [first, second] = [target.next(), target.next()]
    target.unpin(49)
    expect(chunk.bytes.buffer).toBe(answer.buffer)
    target.unpin(50)
    expect(chunk.bytes.buffer).not.toBe(answer.buffer)
    answer.fill(0xee)
    expect([String(first?.value), String(second?.value)]).toEqual(['0', '1'])
    expect(await drain(target)).toEqual(['2:2', '3:3', '4:4'])
  })
  it('C-42: a part that is most of its answer stays where it is', () => {
    const own = Buffer.from(new Uint8Array(numbered(0, 30)))
    const { reader: target } = reader()
    const big = new Uint8Array(own.length * 2)
    big.set(own)
    const chunk = { bytes: big.subarray(0, own.length), length: own.length, arrivedMs: 0, aborted: null }
    target.push(chunk)
    target.unpin(1)
    expect(chunk.bytes.buffer).toBe(big.buffer)
  })
})

describe('scanBatches', () => {
  it('C-5: a partial batch at the end is left out', () => {
    const whole = numbered(0, 2)
    const cut = numbered(2, 2)
    for (const length of [0, 5, 16, 40, cut.length - 1]) {
      const scan = scanBatches(Buffer.concat([whole, cut.subarray(0, length)]))
      expect([scan.length, scan.nextOffset, scan.error]).toEqual([whole.length, 2, null])
    }
  })
  it('C-12: the next fetch starts behind the last batch, gaps included', () => {
    const scan = scanBatches(Buffer.concat([numbered(0, 2), emptiedBatch(2, 41)]))
    expect([scan.nextOffset, scan.leaderEpoch]).toEqual([42, 0])
  })
  it('C-41: what is whole before a damaged header is kept', () => {
    const damaged = numbered(2, 1)
    damaged[16] = 9
    const scan = scanBatches(Buffer.concat([numbered(0, 2), damaged]))
    expect([scan.nextOffset, (scan.error as MQError).context.reason]).toEqual([2, 'CORRUPT_BATCH'])
  })
})
