/** The decision table of wal.md 4.2 on the in-process broker: what exactly-once demands where its conditions hold. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../../lib/broker/index.js'
import { crash } from './support/stage.js'

describe('conditions hold: exactly once', () => {
  it('4.2: nothing was written: every batch goes, in order, one in flight, and the lane opens', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.outcomes(entries)).toEqual(['0@0', '0@3', '0@6'])
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: [] }])
    expect(scene.verdicts).toEqual({ delivered: 3 })
    expect(scene.edges).toEqual({})
    expect(scene.told.edges).toEqual([])
  })

  it('4.2: all were written: the answers are duplicates with the original offsets, nothing is written twice', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    await scene.written(entries)
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.outcomes(entries)).toEqual(['1@0', '1@3', '1@6'])
    expect(scene.verdicts).toEqual({ duplicate: 3 })
  })

  it('4.2: the first were written, the others not', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcde')
    await scene.written(entries.slice(0, 2))
    await scene.resolve()
    expect(await scene.logged()).toBe('abcde')
    expect(scene.verdicts).toEqual({ duplicate: 2, delivered: 3 })
  })

  it('C2: the bytes that go are those of the log', async () => {
    const scene = await crash()
    const [entry] = scene.inDoubt('a')
    const stored = await scene.wal.read(entry?.lsn as number)
    await scene.resolve()
    const bytes = scene.broker.log('orders', 0).batches[0]?.bytes as Uint8Array
    expect(Buffer.from(bytes).subarray(16)).toEqual(Buffer.from(stored).subarray(16))
  })

  it('2.5: identity and CRC of a batch that was bound later are filled in; the log keeps its bytes', async () => {
    const scene = await crash()
    const [entry] = scene.unbound('a')
    if (entry === undefined) throw new Error('no entry')
    const stored = Buffer.from(await scene.wal.read(entry.lsn))
    Object.assign(entry, { producerId: 99n, epoch: 3, baseSequence: 0 })
    await scene.resolve()
    const [batch] = scene.broker.log('orders', 0).batches
    expect(batch).toMatchObject({ producerId: 99n, producerEpoch: 3, baseSequence: 0 })
    expect(Buffer.from(await scene.wal.read(entry.lsn))).toEqual(stored)
  })

  it('4.2 item 2: unbound batches are not sent here; they are left for the lane, behind the bound ones', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    const unbound = scene.unbound('cd')
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: unbound }])
  })

  it('4.2: identities of several crashes are resolved in order of position', async () => {
    const scene = await crash()
    const first = scene.inDoubt('ab')
    scene.inDoubt('cd', { producerId: 4712n, from: 0 })
    scene.inDoubt('e', { producerId: 4712n, epoch: 1, from: 0 })
    await scene.written(first)
    await scene.resolve()
    expect(await scene.logged()).toBe('abcde')
    expect(scene.verdicts).toEqual({ duplicate: 2, delivered: 3 })
  })

  it('4.2: batches of this opening are none of its business', async () => {
    const scene = await crash()
    const bytes = scene.bytes('n', { producerId: 5000n })
    scene.inDoubt('a')
    scene.wal.add(scene.stream, {
      producerId: 5000n,
      epoch: 0,
      baseSequence: 0,
      count: 3,
      maxTimestampMs: 0,
      incarnation: 2,
      bytes,
    })
    await scene.resolve()
    expect(await scene.logged()).toBe('a')
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: [] }])
  })

  it('4.2: what a logged acknowledgement of a later batch proves is settled without a question', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    await scene.written(entries)
    scene.stream.acked.push({ producerId: 4711n, epoch: 0, lastAckedSequence: 5, maxTimestampMs: scene.clock.now() })
    scene.stream.lastAckedOffset = 5
    await scene.resolve()
    expect(scene.outcomes(entries)).toEqual(['1@-1', '1@-1', '1@6'])
    expect(scene.verdicts).toEqual({ proven: 2, duplicate: 1 })
    expect(scene.produced).toBe(1)
  })

  it('P-25: sequences wrap inside a batch', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc', { from: 2 ** 31 - 4 })
    scene.acknowledged(2 ** 31 - 5, -1)
    await scene.written(entries.slice(0, 2))
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.verdicts).toEqual({ duplicate: 2, delivered: 1 })
  })

  it('4.2: a log without entries of an earlier life is done at once', async () => {
    const scene = await crash()
    await scene.resolve()
    expect(scene.resolution.isDone).toBe(true)
    expect(scene.told.openings).toEqual([])
    expect(scene.told.steps.at(-1)).toEqual({ resolved: 0, entries: 0, held: 0, etaMs: 0 })
  })
})

describe('retriable trouble: the same bytes again, without end', () => {
  const codes = [
    [3, 'UNKNOWN_TOPIC_OR_PARTITION'],
    [5, 'LEADER_NOT_AVAILABLE'],
    [6, 'NOT_LEADER_OR_FOLLOWER'],
    [7, 'REQUEST_TIMED_OUT'],
    [19, 'NOT_ENOUGH_REPLICAS'],
    [56, 'KAFKA_STORAGE_ERROR'],
  ] as const
  it.each(codes)('4.2: %i (%s), five times', async (code) => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    scene.broker.on({ api: 'Produce', times: 5 }, fault.error(code))
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
    expect(scene.outcomes(entries)).toEqual(['0@0', '0@3'])
  })

  it.each([7, 20, 6])('4.2: %i after the append: the resend is a duplicate', async (code) => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    scene.broker.on({ api: 'Produce', times: 2 }, fault.error(code, { when: 'after' }))
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
    expect(scene.outcomes(entries)).toEqual(['1@0', '0@3'])
  })

  it.each(['before', 'after'] as const)('4.2: the connection breaks %s the append', async (when) => {
    const scene = await crash()
    scene.inDoubt('abc')
    scene.broker.on({ api: 'Produce', nth: 2, times: 2 }, fault.drop(when))
    await scene.resolve()
    expect(await scene.logged()).toBe('abc')
    expect(scene.edges).toEqual({})
  })

  it('4.2: no answer at all: the socket is given up, the same bytes go over another one', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    scene.broker.on({ api: 'Produce', nth: 1 }, fault.blackhole())
    await scene.resolve()
    expect(await scene.logged()).toBe('ab')
  })

  it('4.2: the leader moves while batches are resolved', async () => {
    const scene = await crash({ broker: { nodes: 3 } })
    const entries = scene.inDoubt('abcd')
    await scene.written(entries.slice(0, 2))
    scene.broker.on({ api: 'Produce', nth: 2 }, fault.drop('after'))
    const leader = scene.broker.log('orders', 0).leader
    const moved = scene.broker.saw({ api: 'Produce', count: scene.broker.count({ api: 'Produce' }) + 2 }).then(() => {
      scene.broker.moveLeader({ topic: 'orders', partition: 0 }, (leader % 3) + 1)
    })
    await scene.resolve()
    await moved
    expect(await scene.logged()).toBe('abcd')
    expect(scene.edges).toEqual({})
    expect(scene.told.openings).toHaveLength(1)
  })

  it('4.2: the leader is killed and another one leads: it has the batches and their numbers', async () => {
    const scene = await crash({ broker: { nodes: 3 } })
    const entries = scene.inDoubt('abcdef')
    await scene.written(entries.slice(0, 4))
    await scene.broker.kill(scene.broker.log('orders', 0).leader)
    await scene.resolve()
    expect(await scene.logged()).toBe('abcdef')
    expect(scene.verdicts).toEqual({ duplicate: 4, delivered: 2 })
  })

  it('4.2: a partition without a leader waits, is told of, and goes on; it keeps no place from others', async () => {
    const scene = await crash({ topic: { partitions: 2 }, settings: { resolveConcurrency: 1 } })
    scene.inDoubt('ab')
    const other = scene.wal.addStream('payments', scene.broker.createTopic('payments'), 0)
    scene.inDoubt('x', { stream: other, producerId: 1n, from: 0 })
    scene.broker.on({ api: 'Produce', topic: 'orders', times: 40 }, fault.error(5))
    scene.resolution.start()
    while (scene.told.openings.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(scene.told.openings).toEqual([{ stream: 2, leftovers: [] }])
    expect(scene.resolution.waitingStreams).toEqual([
      { topic: 'orders', partition: 0, why: expect.stringContaining('LEADER_NOT_AVAILABLE') },
    ])
    expect(scene.resolution.isDone).toBe(false)
    await scene.resolution.done
    expect(await scene.logged()).toBe('ab')
  })

  it('4.2: brokers that cannot be reached at first', async () => {
    const scene = await crash()
    scene.inDoubt('ab')
    await scene.broker.stop(1)
    scene.resolution.start()
    for (let turn = 0; turn < 400; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(scene.resolution.waitingStreams).toHaveLength(1)
    await scene.broker.start(1)
    await scene.resolution.done
    expect(await scene.logged()).toBe('ab')
  })
})

describe('refused for good on this attempt: L tells about earlier ones', () => {
  it('2.6, 4.2: too large now, and never written: left for the lane to split, with all behind it, at once', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abcd')
    await scene.written(entries.slice(0, 2))
    scene.broker.on({ api: 'Produce', nth: 3 }, fault.error(10))
    const before = scene.clock.monotonicMs()
    await scene.resolve()
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries.slice(2) }])
    expect(scene.verdicts).toEqual({ duplicate: 2, requeued: 2 })
    expect(scene.clock.monotonicMs() - before).toBeLessThan(scene.settings.zombieWaitMs)
    expect(scene.edges).toEqual({})
  })

  it('2.6: a limit that was lowered on the broker', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    await scene.written(entries.slice(0, 1))
    scene.broker.setTopicConfig('orders', 'max.message.bytes', 50)
    await scene.resolve()
    // The broker looks at the size before it looks for duplicates: only L tells that the first one is there.
    expect(scene.outcomes(entries)).toEqual(['1@0', '-'])
    expect(scene.verdicts).toEqual({ found: 1, requeued: 1 })
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries.slice(1) }])
  })

  it('4.2: what is left goes in order: a later identity is not sent before it, and waits for late copies', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('ab')
    const later = scene.inDoubt('cd', { producerId: 9n, from: 0 })
    scene.broker.on({ api: 'Produce', nth: 1 }, fault.error(87))
    const before = scene.clock.monotonicMs()
    await scene.resolve()
    expect(scene.produced).toBe(1)
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: [...entries, ...later] }])
    expect(scene.verdicts).toEqual({ requeued: 4 })
    expect(scene.clock.monotonicMs() - before).toBeGreaterThanOrEqual(scene.settings.zombieWaitMs)
  })

  it('3.4: -1 is tried again three times, then L decides', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('a')
    scene.broker.on({ api: 'Produce', times: 9 }, fault.error(-1))
    await scene.resolve()
    expect(scene.produced).toBe(4)
    expect(scene.told.openings).toEqual([{ stream: 1, leftovers: entries }])
  })
})
