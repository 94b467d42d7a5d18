/** The resolution as an object: progress, its end, damage of the log, streams side by side. */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../../lib/broker/index.js'
import { MQError } from '../../../../lib/errors/index.js'
import { Slots } from '../../../../lib/producer/log/resolution/slots.js'
import { Outcome } from '../../../../lib/wal/index.js'
import { turns } from '../../support.js'
import { crash } from './support/stage.js'

const damage = () =>
  new MQError('DECOMPRESSION_FAILED', 'a CRC does not fit', { reason: 'WAL_CORRUPT' }, { fatal: true })

describe('progress and end', () => {
  it('4.3: progress is told at the start, at least every 500 ms, and at the end', async () => {
    const scene = await crash()
    scene.inDoubt('abc')
    scene.broker.on({ api: 'Produce', nth: 1, times: 20 }, fault.error(19))
    const before = scene.clock.monotonicMs()
    await scene.resolve()
    const elapsedMs = scene.clock.monotonicMs() - before
    expect(elapsedMs).toBeGreaterThan(2000)
    expect(scene.told.steps[0]).toEqual({ resolved: 0, entries: 3, held: 0, etaMs: -1 })
    expect(scene.told.steps.length).toBeGreaterThanOrEqual(Math.floor(elapsedMs / 500))
    expect(scene.told.steps.at(-1)).toEqual({ resolved: 3, entries: 3, held: 0, etaMs: 0 })
  })

  it('stop: done resolves, nothing more is sent, settled or told', async () => {
    const scene = await crash()
    const entries = scene.inDoubt('abc')
    const held = scene.broker.on({ api: 'Produce', nth: 2 }, fault.hold())
    scene.resolution.start()
    await scene.broker.hit(held)
    scene.resolution.stop()
    scene.pauses.stop()
    await scene.resolution.done
    const told = scene.told.steps.length
    held.release()
    await turns(200)
    expect(scene.outcomes(entries)).toEqual(['0@0', '-', '-'])
    expect(scene.produced).toBe(2)
    expect(scene.told.openings).toEqual([])
    expect(scene.told.steps.length).toBe(told)
  })

  it('stop while no broker can be reached', async () => {
    const scene = await crash()
    scene.inDoubt('a')
    await scene.broker.stop(1)
    scene.resolution.start()
    await turns(50)
    scene.resolution.stop()
    scene.pauses.stop()
    await scene.resolution.done
    expect(scene.resolution.isDone).toBe(true)
    expect(scene.told.fatals).toEqual([])
  })

  it('pauses that end (the owner closes) end it too, without a request to an unknown cluster', async () => {
    const scene = await crash()
    scene.inDoubt('a')
    await scene.broker.stop(1)
    scene.resolution.start()
    await turns(50)
    scene.pauses.stop()
    await scene.resolution.done
    expect(scene.told.openings).toEqual([])
  })

  it.each([
    [1, (most: number) => most === 1],
    [5, (most: number) => most > 1],
  ] as const)('resolveConcurrency %i: so many streams at a time, all of them in the end', async (limit, isRight) => {
    const scene = await crash({ topic: { partitions: 6 }, settings: { resolveConcurrency: limit } })
    for (let partition = 1; partition < 6; partition++) {
      const stream = scene.wal.addStream('orders', scene.stream.topicId, partition)
      scene.inDoubt('ab', { stream, producerId: BigInt(partition), from: 0 })
    }
    const delayed = scene.broker.on({ api: 'Produce' }, fault.delay(20))
    scene.resolution.start()
    let most = 0
    while (!scene.resolution.isDone) {
      const half = scene.wal.streams.filter(({ id }) => scene.wal.entriesOf(id).length === 1)
      most = Math.max(most, half.length)
      await turns(1)
    }
    delayed.remove()
    expect(isRight(most), `${most} at a time`).toBe(true)
    expect(scene.told.openings).toHaveLength(5)
    for (let partition = 1; partition < 6; partition++) expect(await scene.logged(partition)).toBe('ab')
  })

  it('places are given in order and never more than there are', async () => {
    const slots = new Slots(1)
    const order: number[] = []
    await slots.take()
    const second = slots.take().then(() => order.push(2))
    const third = slots.take().then(() => order.push(3))
    await Promise.resolve()
    expect(order).toEqual([])
    slots.give()
    await second
    expect(order).toEqual([2])
    slots.give()
    await third
    expect(order).toEqual([2, 3])
  })
})

describe('bytes of the log that cannot be read any more', () => {
  const scene = async (onCorruption: 'stop' | 'quarantine', written: number) => {
    const crashed = await crash({ settings: { onCorruption } })
    const before = crashed.inDoubt('a')
    const [identity] = before
    const bad = crashed.wal.add(crashed.stream, {
      producerId: identity?.producerId as bigint,
      epoch: 0,
      baseSequence: 3,
      count: 3,
      maxTimestampMs: crashed.clock.now(),
      bytes: damage(),
    })
    const after = crashed.inDoubt('c', { from: 6 })
    const all = [
      crashed.bytes('a', {}),
      crashed.bytes('b', { baseSequence: 3 }),
      crashed.bytes('c', { baseSequence: 6 }),
    ]
    for (const bytes of all.slice(0, written)) expect(await crashed.send(bytes)).toBe(0)
    return { crashed, before, bad, after }
  }

  it('they are not needed where the broker has the batch', async () => {
    const { crashed, before, bad, after } = await scene('stop', 3)
    await crashed.resolve()
    expect(crashed.outcomes([...before, bad, ...after])).toEqual(['1@0', '1@-1', '1@6'])
    expect(crashed.told.fatals).toEqual([])
  })

  it("'stop': fatal, the lane stays closed", async () => {
    const { crashed, before, bad, after } = await scene('stop', 1)
    await crashed.resolve()
    expect(crashed.told.fatals.map(({ context }) => context.reason)).toEqual(['WAL_CORRUPT'])
    expect(crashed.told.openings).toEqual([])
    expect(crashed.outcomes([...before, bad, ...after])).toEqual(['1@0', '-', '-'])
  })

  it("'quarantine': settled as lost, what is behind it goes under a fresh identity", async () => {
    const { crashed, bad, after } = await scene('quarantine', 1)
    await crashed.resolve()
    expect(crashed.outcomes([bad])).toEqual([`${Outcome.lost}@-1`])
    expect(crashed.told.openings).toEqual([{ stream: 1, leftovers: after }])
    expect(crashed.verdicts).toEqual({ duplicate: 1, lost: 1, requeued: 1 })
  })

  it('a frame too short for a batch is damage', async () => {
    const crashed = await crash()
    const numbers = { producerId: 5n, epoch: 0, baseSequence: 0, count: 1, maxTimestampMs: crashed.clock.now() }
    crashed.wal.add(crashed.stream, { ...numbers, bytes: new Uint8Array(20) })
    await crashed.resolve()
    expect(crashed.told.fatals.map(({ context }) => context.reason)).toEqual(['WAL_CORRUPT'])
  })
})
