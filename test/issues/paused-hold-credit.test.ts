/**
 * Paused partitions keep what was fetched of them. With more of them than `prefetchBytes` has room for, all credit
 * ended up in their buffers, nothing ever freed it, and the partitions that were not paused stood still for good.
 * What is buffered of partitions that nobody reads gives way to those that are read. C-15, C-16, K-14.
 */
import { expect, it } from 'vitest'
import { deferred } from '../../lib/util/index.js'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

const LIMIT = 600_000

it('C-16: paused partitions do not starve the others of prefetch credit, and go on where they stopped', async () => {
  const broker = await on.start()
  broker.createTopic('t', { partitions: 12 })
  const values = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(50_000))
  const letters = async (partition: number) => {
    for (const value of values) await on.produce('t', partition, [value])
  }
  for (let partition = 0; partition < 11; partition++) await letters(partition)
  const consumer = on.consumer({ prefetchBytes: LIMIT, maxPartitionFetchBytes: LIMIT })
  const seen = new Seen()
  const filled = deferred<void>()
  // All credit used, and no answer outstanding that might give some of it back: several waits of the broker long.
  const isFull = async () => {
    const { fetches } = consumer.getMetrics()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const now = consumer.getMetrics()
    return seen.records.length === 1 && now.fetches === fetches && now.prefetchBytes > LIMIT - 65_536
  }
  await consumer.assign(['t'], async (record) => {
    seen.take(at(record))
    if (seen.records.length === 1) await filled.promise
  })
  while (!(await isFull()));
  const paused = consumer.assignment.filter(({ partition }) => partition < 11)
  consumer.pause(paused)
  filled.resolve()
  await letters(11)
  await seen.until(() => seen.of('t', 11).length === 4)
  expect(seen.records).toHaveLength(5)
  consumer.resume(paused)
  await seen.count(48)
  for (let partition = 0; partition < 12; partition++)
    expect(seen.of('t', partition)).toEqual(['a', 'b', 'c', 'd'].map((letter, n) => `t/${partition}@${n}=${letter}`))
})

function at(record: { topic: string; partition: number; offset: number; value: Buffer | null }) {
  return { topic: record.topic, partition: record.partition, offset: record.offset, value: String(record.value)[0] }
}
