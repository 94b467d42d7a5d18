/** The queue in memory: vectors, triggers, limits, life. */
import { describe, expect, it } from 'vitest'
import { numbers, refusalOf, Stage, turns } from './support/stage.js'

describe('vectors of features.md 7', () => {
  it('QU-1: five items, batch of five: all received', async () => {
    const stage = new Stage<number>({ batchMaxItems: 5 })
    await stage.queue.start()
    for (const item of numbers(5)) await stage.queue.enqueue(item)
    await turns()
    expect(stage.delivered).toEqual(numbers(5))
    await stage.queue.close()
  })

  it('QU-1: seven enqueued: seven sent, at least one batch', async () => {
    const stage = new Stage<number>({ batchMaxItems: 5 })
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(7))
    await stage.queue.flush()
    expect(stage.queue.metrics()).toMatchObject({ enqueuedTotal: 7, sentTotal: 7, batchesSentTotal: 2, pending: 0 })
    await stage.queue.close()
  })

  it('QU-4: the sender fails twice, retries 2: three attempts', async () => {
    const stage = new Stage<number>({ batchMaxItems: 1, retries: 2 })
    let failures = 2
    stage.answer = (call) => (failures-- > 0 ? call.fail() : call.succeed())
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await stage.wait(500)
    expect(stage.calls.map(({ context }) => context.attempt)).toEqual([1, 2, 3])
    expect(stage.queue.metrics()).toMatchObject({ sentTotal: 1, errorsTotal: 2, retriesTotal: 2 })
    await stage.queue.close()
  })

  it('QU-5: stop with ten: ten sent', async () => {
    const stage = new Stage<number>()
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(10))
    expect(await stage.queue.stop()).toEqual({ sent: 10, failed: 0, dropped: 0, pending: 0 })
    expect(stage.delivered).toEqual(numbers(10))
    await stage.queue.close()
  })

  it('QU-3: memory 4, soft 50 %, hard 75 %, slow sender, reject: backpressure at item 2, item 4 BUFFER_FULL', async () => {
    const stage = new Stage<number>({
      memoryMaxItems: 4,
      softPercent: 50,
      hardPercent: 75,
      overflow: 'reject',
      batchMaxItems: 1,
    })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(1)
    expect(stage.of('backpressure')).toEqual([])
    await stage.queue.enqueue(2)
    expect(stage.of('backpressure')).toEqual([{ used: 2, limit: 4 }])
    await stage.queue.enqueue(3)
    expect(await refusalOf(stage.queue.enqueue(4))).toMatchObject({
      code: 'POOL_EXHAUSTED',
      context: { reason: 'BUFFER_FULL' },
    })
    expect(stage.queue.metrics()).toMatchObject({ enqueuedTotal: 3, rejectedTotal: 1, pending: 3 })
    await stage.queue.close({ timeoutMs: 0 })
  })
})
