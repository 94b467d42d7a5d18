/**
 * `assignBatch` collects records until reading fails, hands out what came before, and expected reading to fail again
 * at the same place. It did not: the record cursor had counted the damaged record as read, so a damaged last record
 * was passed over in silence. And when the next batch failed to decompress in the background while a callback still
 * worked, nobody had taken the rejection yet: the process ended by an unhandled rejection. C-8, C-41.
 */
import { expect, it } from 'vitest'
import { createCompressionCodec, registerCodec } from '../../lib/codec/index.js'
import { MQError } from '../../lib/errors/index.js'
import { numbered } from '../consumer/batches.js'
import { bench, Seen } from '../consumer/support.js'
import { withCrc } from '../support/batch-bytes.js'

const on = bench()

it('C-8: a damaged last record is reported, also behind records of the same call', async () => {
  const broker = await on.start()
  broker.createTopic('t')
  const batch = Buffer.from(numbered(0, 3))
  batch.writeInt8(batch.readInt8(batch.length - 1) + 2, batch.length - 1) // a header more than there is
  broker.appendRaw({ topic: 't', partition: 0 }, withCrc(batch))
  await on.produceNumbers('t', 0, 3, 1)
  const seen = new Seen()
  const consumer = on.consumer()
  const failed = new Promise<MQError>((resolve) => void consumer.on('error', resolve))
  await consumer.assignBatch(['t'], (records) => records.forEach(seen.take))
  const error = await Promise.race([failed, seen.count(3)])
  expect(error).toBeInstanceOf(MQError)
  expect((error as MQError).context).toMatchObject({ reason: 'CORRUPT_BATCH', offset: 2 })
  expect(seen.records).toEqual(['t/0@0=0', 't/0@1=1'])
})

it('C-41: a batch that cannot be decompressed in the background while a callback works ends nothing', async () => {
  const original = createCompressionCodec('zstd')
  const decompress = () => Promise.reject(new MQError('DECOMPRESSION_FAILED', 'broken'))
  registerCodec({ ...original, decompress })
  const unhandled: unknown[] = []
  const note = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    const broker = await on.start()
    broker.createTopic('t')
    const compressed = Buffer.from(numbered(2, 2))
    compressed.writeInt16BE(4, 21)
    await on.produceNumbers('t', 0, 0, 2)
    broker.appendRaw({ topic: 't', partition: 0 }, withCrc(compressed), 2)
    const consumer = on.consumer()
    const failed = new Promise<MQError>((resolve) => void consumer.on('error', resolve))
    await consumer.assignBatch(['t'], () => new Promise((resolve) => setTimeout(resolve, 30)))
    expect((await failed).code).toBe('DECOMPRESSION_FAILED')
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', note)
    registerCodec(original)
  }
})
