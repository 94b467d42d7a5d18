/**
 * C-42: what a caller keeps of a record does not keep the fetch that it came in (`readMode: 'safe'`).
 * Why measured and not looked at: any object on the way may hold the bytes. The measure is what external memory stays
 * after the collector has run, far from both answers: 60 fetches of 256 KiB against 60 small values.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { RecordView } from '../../../lib/consumer/index.js'
import { bench, Seen } from '../support.js'

const on = bench()
const FETCHES = 60
const BATCH_BYTES = 256 * 1024
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

async function externalBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().arrayBuffers
}

/** Bytes that stay when of each fetch only that is kept which `keep` takes of one record of 20 bytes. */
async function pinned(readMode: 'safe' | 'zeroCopy', keep: (record: RecordView) => unknown): Promise<number> {
  const broker = await on.start()
  broker.createTopic('t')
  const filler = Array.from({ length: 250 }, (_, index) => `${index}`.padEnd(BATCH_BYTES / 250, '.'))
  const keys = ['a small key', ...filler.map(() => null)]
  const kept: unknown[] = []
  const seen = new Seen()
  const limits = { fetchMaxBytes: 300_000, maxPartitionFetchBytes: 300_000 }
  const consumer = on.consumer({ ...limits, readMode })
  await consumer.assign(['t'], (record) => {
    if (record.offset % 251 === 0) kept.push(keep(record))
    seen.take({ ...record, topic: 't', partition: 0, value: '' })
  })
  const before = await externalBytes()
  for (let round = 0; round < FETCHES; round++) {
    await on.produce('t', 0, { values: ['a value of 20 bytes!', ...filler], keys })
    broker.deleteRecords({ topic: 't', partition: 0 }, broker.log('t', 0).logEnd - 251)
    broker.forgetRequests() // They hold what was produced.
    await seen.count((round + 1) * 251)
  }
  expect(kept).toHaveLength(FETCHES)
  return (await externalBytes()) - before
}

describe('C-42: memory', () => {
  it.each([
    ['its value', (record: RecordView) => record.value],
    ['its key', (record: RecordView) => record.key],
    ['all of it', (record: RecordView) => [record.key, record.value, record.headers]],
    ['the record, once touched', (record: RecordView) => record.key !== null && record],
  ] as const)('C-42: of one small record per fetch is kept: %s', async (_what, keep) => {
    expect(await pinned('safe', keep)).toBeLessThan((FETCHES * BATCH_BYTES) / 5)
  })

  it('C-42, CH-11: with zeroCopy a value keeps its fetch, so that the measure is one', async () => {
    expect(await pinned('zeroCopy', (record) => record.value)).toBeGreaterThan((FETCHES * BATCH_BYTES) / 2)
  })
})
