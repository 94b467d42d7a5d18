/** A live lane's question about its head, where the numbers wrap. */
import { expect, it } from 'vitest'
import type { Cluster } from '../../lib/cluster/index.js'
import type { Batch } from '../../lib/producer/batch.js'
import type { Lane } from '../../lib/producer/lane.js'
import { Resolver } from '../../lib/producer/resolver.js'
import { FakeClock, Pauses, seededRandom } from '../../lib/util/index.js'

it('P-25, 3.6: a batch that begins at 0 after 2147483647 is the next one, and goes again', async () => {
  const known = { producerId: 7n, producerEpoch: 0, lastSequence: 2 ** 31 - 1 }
  const answer = { topics: [{ partitions: [{ errorCode: 0, activeProducers: [known] }] }] }
  const cluster = { request: async () => answer, topic: () => undefined } as unknown as Cluster
  const clock = new FakeClock()
  const resolver = new Resolver(cluster, clock, seededRandom(1), new Pauses(clock), 1000)
  const lane = { topic: 'orders', topicId: '', partition: 0, leaderId: 1, identity: null } as unknown as Lane
  const numbers = { producerId: 7n, producerEpoch: 0, baseSequence: 0, lastSequence: 2 }
  const batch = { ...numbers, isDoubtful: true, isResentAfterResolve: false, firstAtMs: 0 } as unknown as Batch
  expect(await resolver.fateOf(lane, batch, 45)).toEqual({ kind: 'resend' })
})
