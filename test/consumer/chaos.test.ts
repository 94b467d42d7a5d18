/**
 * Random faults, pauses, seeks and leader moves against the in-process broker: every record of every partition comes,
 * in order, none twice. A failing seed is replayed with SEED=n.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { randomInt, seededRandom } from '../../lib/util/index.js'
import { bench, expected, Seen } from './support.js'

const PARTITIONS = 4
const BATCHES = 12
const BATCH_RECORDS = 25
const seeds = process.env.SEED === undefined ? [11, 22, 33] : [Number(process.env.SEED)]
const on = bench()

describe('chaos', () => {
  it.each(seeds)('C-20, C-13, C-2, C-41: seed %i loses, repeats and reorders nothing', async (seed) => {
    const random = seededRandom(seed)
    const broker = await on.start({ nodes: 3, random: seededRandom(seed + 1) })
    broker.createTopic('t', { partitions: PARTITIONS, replicationFactor: 3 })
    const seen = new Seen()
    const consumer = on.consumer({
      concurrency: 1 + randomInt(random, 3),
      maxPollRecords: 1 + randomInt(random, 40),
      prefetchBytes: 20_000 + randomInt(random, 200_000),
      maxPartitionFetchBytes: 2_000 + randomInt(random, 10_000),
    })
    const isAsync = random.next() < 0.5
    const errors: string[] = []
    consumer.on('error', (error) => errors.push(String(error)))
    await consumer.assign(['t'], (record) => {
      seen.take(record)
      return isAsync ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined
    })
    const disturb: readonly (() => void)[] = [
      () => void broker.on({ api: 'Fetch', times: 1 }, fault.drop('after')),
      () => void broker.on({ api: 'Fetch', times: 1 }, fault.drop('before')),
      () => void broker.on({ api: 'Fetch', times: 1 }, fault.disconnect({ afterBytes: 1 + randomInt(random, 200) })),
      () =>
        void broker.on(
          { api: 'Fetch', times: 2 },
          fault.error([6, 74, 75, 9, -1, 7, 71][randomInt(random, 7)] as number),
        ),
      () => void broker.on({ api: 'Fetch', times: 1 }, fault.delay(30)),
      () => broker.evictSessions(),
      () => broker.disconnect(1 + randomInt(random, 3)),
      () => {
        const partition = randomInt(random, PARTITIONS)
        broker.moveLeader({ topic: 't', partition }, 1 + (broker.log('t', partition).leader % 3))
      },
      () => {
        const what = [{ topic: 't', partition: randomInt(random, PARTITIONS) }]
        consumer.pause(what)
        setTimeout(() => consumer.state === 'open' && consumer.resume(what), randomInt(random, 30))
      },
    ]
    for (let batch = 0; batch < BATCHES; batch++) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        disturb[randomInt(random, disturb.length)]?.()
        await on.produceNumbers('t', partition, batch * BATCH_RECORDS, BATCH_RECORDS)
      }
    }
    await seen.count(PARTITIONS * BATCHES * BATCH_RECORDS)
    const story = `replay: SEED=${seed} npx vitest run test/consumer/chaos.test.ts`
    for (let partition = 0; partition < PARTITIONS; partition++) {
      expect(seen.of('t', partition), story).toEqual(expected('t', partition, 0, BATCHES * BATCH_RECORDS))
    }
    expect(errors, story).toEqual([])
  })
})
