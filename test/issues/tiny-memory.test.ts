/**
 * With less memory than the smallest arena of 16 KiB no record ever found room, and the line of blocked sends went round
 * without a turn of the event loop until `maxBlockMs` was over.
 */
import { expect, it } from 'vitest'
import { stage } from '../producer/support.js'

it('PR-17: a memory of 2 KiB sends what fits into it', async () => {
  const limits = { bufferMemoryBytes: 2048, maxBatchBytes: 1024, batchBytes: 512, maxBlockMs: 1000 }
  const { producer } = await stage(limits, { partitions: 1 })
  const sent = await Promise.all(['a', 'b', 'c'].map((one) => producer.sendSync('orders', one.repeat(900))))
  expect(sent.map(({ offset }) => offset)).toEqual([0, 1, 2])
})
