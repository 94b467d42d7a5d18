/**
 * Reading from followers (KIP-392): who is recommended, who serves, and what a follower that lags says. The answers are those
 * of three nodes of Apache Kafka 4.1.1 with its rack-aware selector.
 */
import { describe, expect, it } from 'vitest'
import { Fetch } from '../../lib/protocol/index.js'
import type { RawClient } from './raw-client.js'
import { bench, type FetchSpec, turn } from './support.js'

const T = { topic: 't', partition: 0 }
const NEITHER = -1

describe('follower fetch', () => {
  const b = bench()

  /** Broker 1 (r1) leads `t`, 2 and 3 (r2) follow, 4 (r2) has no copy; three records are there. */
  async function four(racks: string[] = ['r1', 'r2', 'r2', 'r2']): Promise<RawClient> {
    const leader = await b.start({ nodes: 4, racks })
    b.broker.createTopic('t', { assignments: [[1, 2, 3]] })
    await b.produce(leader, { values: ['a', 'b', 'c'] })
    return leader
  }

  async function ask(client: RawClient, rackId: string, spec: FetchSpec = {}, version = 12) {
    const answer = await client.request(Fetch, version, { ...b.fetchBody(spec), rackId })
    const [told] = answer.responses[0]?.partitions ?? []
    return { session: answer.sessionId, preferred: told?.preferredReadReplica, bytes: told?.records?.length, ...told }
  }

  it('C-17: the leader names an in-sync replica in the rack of the consumer, and sends no records', async () => {
    const leader = await four()
    expect(await ask(leader, 'r2')).toMatchObject({
      errorCode: 0,
      preferred: 2,
      bytes: 0,
      highWatermark: 3,
      lastStableOffset: 3,
      logStartOffset: 0,
    })
    expect(await ask(leader, 'r2', {}, 11)).toMatchObject({ preferred: 2 })
    expect(await ask(leader, 'r2', { offset: 3, maxWaitMs: 60_000 })).toMatchObject({ preferred: 2 }) // at once
  })

  it.each([
    ['no rack', '', {}, 12],
    ['its own rack', 'r1', {}, 12],
    ['a rack nobody is in', 'r9', {}, 12],
    ['a version without racks', 'r2', {}, 10],
  ] as const)('C-17: the leader serves itself: %s', async (_why, rack, spec, version) => {
    const leader = await four()
    expect(await ask(leader, rack, spec, version)).toMatchObject({ errorCode: 0, preferred: NEITHER, highWatermark: 3 })
    expect((await ask(leader, rack, spec, version)).bytes).toBeGreaterThan(0)
  })

  it('C-17: without racks nobody is recommended; out of range is the leader’s to say', async () => {
    const leader = await four([])
    expect(await ask(leader, 'r2')).toMatchObject({ preferred: NEITHER })
    await b.close()
    const other = await four()
    expect(await ask(other, 'r2', { offset: 9 })).toMatchObject({ errorCode: 1, preferred: NEITHER })
  })

  it('C-17: who is out of sync, dead or lacks the offset is not recommended', async () => {
    const leader = await four()
    b.broker.setIsr(T, [1, 3])
    expect(await ask(leader, 'r2')).toMatchObject({ preferred: 3 })
    await b.broker.kill(3)
    expect(await ask(leader, 'r2')).toMatchObject({ preferred: NEITHER })
    b.broker.setIsr(T, [1, 2])
    b.broker.holdReplication(T)
    await b.produce(leader, { values: ['d'] }, { acks: 1 })
    expect(await ask(leader, 'r2', { offset: 3 })).toMatchObject({ preferred: 2 })
    expect(await ask(leader, 'r2', { offset: 4 })).toMatchObject({ preferred: NEITHER, bytes: 0 })
  })

  it('C-17: followers serve, with and without a rack; older versions and brokers without a copy are sent away (6)', async () => {
    await four()
    const follower = await b.connect(2)
    for (const rack of ['r2', '']) {
      const told = await ask(follower, rack, { currentLeaderEpoch: 0 })
      expect(told).toMatchObject({ errorCode: 0, preferred: NEITHER, highWatermark: 3 })
      expect(told.bytes).toBeGreaterThan(0)
    }
    expect(await ask(follower, '', {}, 10)).toMatchObject({ errorCode: 6 })
    expect(await ask(await b.connect(4), 'r2')).toMatchObject({ errorCode: 6 })
    expect(await ask(follower, 'r2', { currentLeaderEpoch: 5 })).toMatchObject({ errorCode: 75 })
    b.broker.moveLeader(T, 3)
    expect(await ask(follower, 'r2', { currentLeaderEpoch: 0 })).toMatchObject({ errorCode: 74 })
  })

  it('C-18: a follower serves up to the high watermark it knows, and answers 1 behind its own log end', async () => {
    const leader = await four()
    b.broker.setIsr(T, [1])
    await b.produce(leader, { values: ['d', 'e'] })
    const lagging = await b.connect(2)
    expect(await ask(lagging, 'r2')).toMatchObject({ errorCode: 0, highWatermark: 3 })
    expect(await ask(lagging, 'r2', { offset: 3 })).toMatchObject({ errorCode: 0, bytes: 0 })
    expect(await ask(lagging, 'r2', { offset: 4 })).toMatchObject({ errorCode: 1 })
    expect(await ask(leader, 'r2', { offset: 4 })).toMatchObject({ errorCode: 0, preferred: NEITHER })
  })

  it('C-17: a poll at a follower ends when it has copied', async () => {
    const leader = await four()
    const polling = ask(await b.connect(2), 'r2', { offset: 3, maxWaitMs: 60_000 })
    await b.broker.saw({ api: 'Fetch' })
    await turn()
    await b.produce(leader, { values: ['d'] })
    expect(await polling).toMatchObject({ errorCode: 0, highWatermark: 4 })
    expect((await polling).bytes).toBeGreaterThan(0)
  })

  it('C-17: within a session the recommendation is told again and again', async () => {
    const leader = await four()
    const { session } = await ask(leader, 'r2', { sessionEpoch: 0 })
    const body = { ...b.fetchBody({ sessionId: session, sessionEpoch: 1 }), topics: [], rackId: 'r2' }
    const next = await leader.request(Fetch, 12, body)
    expect(next.responses[0]?.partitions[0]).toMatchObject({ preferredReadReplica: 2 })
  })
})
