/**
 * Records that came before their topic's metadata, two stories. `sendBatch` forgot its limits for them: the first batch
 * of a process went out as one, whatever `maxBatchRecords` said. And one that had to wait for memory on its way into its
 * lane kept its headers as views of an arena that was in other use when it was its turn.
 */
import { expect, it } from 'vitest'
import { logOf, stage } from '../producer/support.js'

const values = (count: number) => Array.from({ length: count }, (_, at) => ({ value: `${at}`.padEnd(50, '.') }))

it('PR-4: the limits of a batch hold for the first records of a topic, and for what others send behind it', async () => {
  const { producer } = await stage({}, { partitions: 1 })
  await producer.sendBatchSync({ topic: 'orders', maxBatchRecords: 10, messages: values(100) })
  expect(producer.getMetrics().batches).toBe(10)
  const limited = producer.sendBatchSync({ topic: 'orders', maxBatchRecords: 10, messages: values(5) })
  const others = values(8).map(({ value }) => producer.sendSync('orders', value))
  await Promise.all([limited, ...others])
  expect(producer.getMetrics().batches).toBe(12)
})

it.each([61 + 57, 61 + 57 + 56, 61 + 57 + 57])(
  'PR-4: no batch is larger than maxBatchBytes %i',
  async (maxBatchBytes) => {
    const { producer } = await stage({}, { partitions: 1 })
    const messages = values(12)
    await producer.sendBatchSync({ topic: 'orders', maxBatchBytes, messages })
    expect(producer.getMetrics().batches).toBe(maxBatchBytes < 61 + 2 * 57 ? 12 : 6)
  },
)

it('PR-5: headers of a record that waits on its way into its lane stay what they were', async () => {
  const memory = { bufferMemoryBytes: 32_768, maxBatchBytes: 16_384, batchBytes: 4096, hardPercent: 100 }
  const { broker, producer } = await stage({ ...memory, compression: 'none' }, { partitions: 4 })
  const sent = Array.from({ length: 12 }, (_, at) =>
    producer.sendSync('orders', `v${at}`.padEnd(2000, '.'), { partition: at % 4, headers: { at: `header ${at}` } }),
  )
  await Promise.all(sent)
  const logs = await Promise.all([0, 1, 2, 3].map((partition) => logOf(broker, 'orders', partition)))
  for (const { value, headers } of logs.flat()) {
    expect(headers).toEqual([['at', `header ${value?.slice(1).replaceAll('.', '')}`]])
  }
  expect(logs.flat().length).toBe(12)
})
