/**
 * A batch callback that got records from both sides of a change of leader committed the epoch of the first ones. The next
 * owner compared it with the log, took the records behind the change for truncated, told so, and read them once more.
 * Found by the group simulation. C-34, 5.4 (KIP-320).
 */
import { expect, it } from 'vitest'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

it('C-34: what is committed behind a change of leader carries the new epoch', async () => {
  const broker = await on.start({ nodes: 2 })
  broker.createTopic('t', { replicationFactor: 2 })
  await on.produceNumbers('t', 0, 0, 3)
  broker.moveLeader({ topic: 't', partition: 0 }, 3 - broker.log('t', 0).leader)
  await on.produceNumbers('t', 0, 3, 3)
  const counts: number[] = []
  const seen = new Seen()
  const first = on.consumer({ groupId: 'g' })
  await first.subscribeBatch('t', (records) => {
    counts.push(records.length)
    for (const record of records) seen.take(record)
  })
  await seen.count(6)
  await first.close()
  expect(counts).toEqual([6]) // Else this shows nothing.
  expect(broker.group('g').offsets).toMatchObject([{ offset: 6, leaderEpoch: 1 }])
  const second = on.consumer({ groupId: 'g' })
  const truncations: unknown[] = []
  second.on('truncation', (event) => truncations.push(event))
  const more = new Seen()
  await second.subscribe('t', more.take)
  await on.produceNumbers('t', 0, 6, 1)
  await more.count(1)
  expect([more.records, truncations]).toEqual([['t/0@6=6'], []])
})
