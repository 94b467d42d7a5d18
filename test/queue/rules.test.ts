/** The rules of wal.md 7, one by one, on a clock that stands still. */
import { describe, expect, it } from 'vitest'
import { resolveConfig } from '../../lib/config/index.js'
import { Metrics } from '../../lib/metrics/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { FakeDisk } from './support/fake-wal.js'
import { numbers, refusalOf, Stage, turns } from './support/stage.js'

const reasonOf = (reason: string) => ({ context: expect.objectContaining({ reason }) })

describe('triggers', () => {
  it('QU-3: a full batch leaves at once, a partial one lingerMs after its first item, an empty one never', async () => {
    const stage = new Stage<number>({ batchMaxItems: 3, lingerMs: 10 })
    await stage.queue.start()
    await stage.wait(50)
    expect(stage.calls).toEqual([])
    await stage.queue.enqueueBatch(numbers(4))
    await turns()
    expect(stage.calls.map(({ items }) => items)).toEqual([[0, 1, 2]])
    await stage.wait(4)
    await stage.queue.enqueue(4)
    await stage.wait(5)
    expect(stage.calls).toHaveLength(1)
    await stage.wait(1)
    expect(stage.calls.map(({ items }) => items)).toEqual([
      [0, 1, 2],
      [3, 4],
    ])
    await stage.queue.close()
  })

  it('QU-3: flush sends partial batches and waits for what was enqueued before it, not for what comes after', async () => {
    const stage = new Stage<number>({ batchMaxItems: 3 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(2))
    let isFlushed = false
    const flushed = stage.queue.flush().then(() => {
      isFlushed = true
    })
    await turns()
    await stage.queue.enqueue(9)
    stage.calls[0]?.succeed()
    await flushed
    expect(isFlushed).toBe(true)
    expect(stage.queue.queueSize).toBe(1)
    expect(await refusalOf(flushIn(stage, 5))).toMatchObject({ code: 'TIMEOUT', context: { pending: 1 } })
    stage.calls.at(-1)?.succeed()
    await stage.queue.close()
  })

  async function flushIn(stage: Stage<number>, timeoutMs: number): Promise<void> {
    const flushed = stage.queue.flush({ timeoutMs })
    flushed.catch(() => {})
    await stage.wait(timeoutMs)
    return flushed
  }

  it('QU-1: drain resolves when nothing is pending, and forces nothing', async () => {
    const stage = new Stage<number>({ lingerMs: 20 })
    await stage.queue.start()
    await stage.queue.drain()
    await stage.queue.enqueue(1)
    let isDrained = false
    const drained = stage.queue.drain().then(() => {
      isDrained = true
    })
    await stage.wait(19)
    expect(isDrained).toBe(false)
    await stage.wait(1)
    await drained
    await stage.queue.close()
  })
})

describe('limits', () => {
  it('QU-3: block: callers wait in line, first come first served, and nothing overtakes them', async () => {
    const stage = new Stage<number>({ memoryMaxItems: 2, hardPercent: 100, batchMaxItems: 1 })
    stage.answer = null
    await stage.queue.start()
    const promises = numbers(5).map((item) => stage.queue.enqueue(item))
    await turns()
    expect(stage.queue.queueSize).toBe(2)
    expect(stage.queue.tryEnqueue(9)).toBe(false)
    for (let at = 0; at < 5; at++) {
      stage.calls[at]?.succeed()
      await turns()
    }
    await Promise.all(promises)
    expect(stage.delivered).toEqual(numbers(5))
    expect(stage.of('overflow')).toHaveLength(1)
    await stage.queue.close()
  })

  it('QU-3: block: past maxBlockMs TIMEOUT/BUFFER_FULL, aborted with its reason, and nothing of the item is taken', async () => {
    const stage = new Stage<number>({ memoryMaxItems: 1, hardPercent: 100, batchMaxItems: 1, maxBlockMs: 20 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(0)
    const controller = new AbortController()
    const late = refusalOf(stage.queue.enqueue(1))
    const sooner = refusalOf(stage.queue.enqueue(2, { timeoutMs: 5 }))
    const aborted = refusalOf(stage.queue.enqueue(3, { signal: controller.signal }))
    controller.abort('enough')
    expect(await aborted).toBe('enough')
    expect(await refusalOf(stage.queue.enqueue(4, { signal: AbortSignal.abort('before') }))).toBe('before')
    await stage.wait(5)
    expect(await sooner).toMatchObject({ code: 'TIMEOUT', ...reasonOf('BUFFER_FULL') })
    await stage.wait(15)
    expect(await late).toMatchObject({
      code: 'TIMEOUT',
      context: { reason: 'BUFFER_FULL', acceptedCount: 0, timeoutMs: 20 },
    })
    expect(stage.queue.metrics()).toMatchObject({ enqueuedTotal: 1, rejectedTotal: 3 })
    await stage.queue.close({ timeoutMs: 0 })
  })

  it('QU-3: enqueueBatch: reject is all or nothing, block tells how much was taken', async () => {
    const rejecting = new Stage<number>({ memoryMaxItems: 4, hardPercent: 100, overflow: 'reject' })
    await rejecting.queue.start()
    expect(await refusalOf(rejecting.queue.enqueueBatch(numbers(5)))).toMatchObject({
      code: 'POOL_EXHAUSTED',
      retryable: true,
      ...reasonOf('BUFFER_FULL'),
    })
    expect(rejecting.queue.metrics()).toMatchObject({ enqueuedTotal: 0, rejectedTotal: 5 })
    await rejecting.queue.enqueueBatch(numbers(4))
    await rejecting.queue.enqueueBatch([])
    await rejecting.queue.close()

    const blocking = new Stage<number>({ memoryMaxItems: 4, maxBlockMs: 5, batchMaxItems: 10, lingerMs: 1000 })
    blocking.answer = null
    await blocking.queue.start()
    const refused = refusalOf(blocking.queue.enqueueBatch(numbers(6)))
    await blocking.wait(5)
    expect(await refused).toMatchObject({ context: { acceptedCount: 4 } })
    expect(blocking.queue.metrics()).toMatchObject({ enqueuedTotal: 4, rejectedTotal: 2 })
    await blocking.queue.close({ timeoutMs: 0 })
  })

  it.each(['block', 'reject', 'dropOldest'] as const)(
    'QU-3: %s: a batch that cannot grow, because memory is full, does not wait for its linger',
    async (overflow) => {
      const stage = new Stage<number>({
        memoryMaxItems: 4,
        hardPercent: 100,
        batchMaxItems: 10,
        lingerMs: 1000,
        overflow,
      })
      await stage.queue.start()
      for (const item of numbers(8)) {
        await stage.queue.enqueue(item)
        await turns()
      }
      expect(stage.delivered).toEqual(numbers(8))
      await stage.queue.close()
    },
  )

  it('QU-3: nor does one whose successors are in the log only', async () => {
    const stage = new Stage<number>({ durability: 'os', memoryMaxItems: 4, batchMaxItems: 10, lingerMs: 1000 })
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(12))
    await turns(200)
    expect(stage.delivered).toEqual(numbers(12))
    await stage.queue.close()
  })

  it('QU-3: dropOldest gives up the oldest that no send has, counted and told', async () => {
    const stage = new Stage<number>({ memoryMaxItems: 3, hardPercent: 100, overflow: 'dropOldest', batchMaxItems: 1 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(0)
    await turns() // It is under way.
    await stage.queue.enqueueBatch([1, 2])
    await stage.queue.enqueue(3)
    expect(stage.of('dropped')).toEqual([{ items: [1], count: 1, reason: 'overflow' }])
    expect(stage.queue.metrics()).toMatchObject({ enqueuedTotal: 4, droppedTotal: 1, pending: 3 })
    for (let at = 0; at < 3; at++) {
      stage.calls[at]?.succeed()
      await turns()
    }
    expect(stage.delivered).toEqual([0, 2, 3])
    await stage.queue.close()
  })

  it('QU-3: dropOldest waits where everything is under way', async () => {
    const stage = new Stage<number>({ memoryMaxItems: 1, hardPercent: 100, overflow: 'dropOldest', batchMaxItems: 1 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(0)
    await turns()
    expect(stage.queue.tryEnqueue(1)).toBe(false)
    const waiting = stage.queue.enqueue(2)
    stage.calls[0]?.succeed()
    await waiting
    expect(stage.of('dropped')).toEqual([])
    await stage.queue.close({ timeoutMs: 0 })
  })

  it('QU-3: backpressure, drain and ready follow the marks, each once per crossing', async () => {
    const stage = new Stage<number>({
      memoryMaxItems: 10,
      softPercent: 80,
      resumePercent: 40,
      batchMaxItems: 1,
      hardPercent: 100,
    })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.ready()
    await stage.queue.enqueueBatch(numbers(9))
    let isReady = false
    void stage.queue.ready().then(() => {
      isReady = true
    })
    expect(await refusalOf(readyIn(stage))).toMatchObject({ code: 'TIMEOUT' })
    for (let at = 0; at < 5; at++) {
      stage.calls[at]?.succeed()
      await turns()
    }
    expect([isReady, stage.of('drain')]).toEqual([false, []])
    stage.calls[5]?.succeed()
    await turns()
    expect([isReady, stage.of('drain')]).toEqual([true, [{ used: 3, limit: 10 }]])
    expect(stage.of('backpressure')).toEqual([{ used: 9, limit: 10 }])
    await stage.queue.close({ timeoutMs: 0 })
  })

  async function readyIn(stage: Stage<number>): Promise<void> {
    const ready = stage.queue.ready({ timeoutMs: 1 })
    ready.catch(() => {})
    await stage.wait(1)
    return ready
  }
})

describe('attempts', () => {
  it('QU-4: past sendTimeoutMs the signal is aborted; a success within the grace counts, and nothing is sent again', async () => {
    const stage = new Stage<number>({ batchMaxItems: 1, sendTimeoutMs: 10, sendGraceMs: 5 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await stage.wait(10)
    const [call] = stage.calls
    expect(call?.context.signal.aborted).toBe(true)
    expect(call?.context.signal.reason).toMatchObject({ code: 'TIMEOUT' })
    await stage.wait(4)
    expect(stage.calls).toHaveLength(1)
    call?.succeed()
    await turns()
    await stage.wait(200)
    expect(stage.calls).toHaveLength(1)
    expect(stage.queue.metrics()).toMatchObject({ sentTotal: 1, errorsTotal: 0 })
    await stage.queue.close()
  })

  it('QU-4: a batch that succeeded late is not sent again: neither during the back-off nor beside its retry', async () => {
    const stage = new Stage<number>({
      batchMaxItems: 1,
      sendTimeoutMs: 10,
      sendGraceMs: 5,
      retryBaseMs: 40,
      retryMaxMs: 40,
    })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await stage.wait(15)
    expect(stage.queue.metrics().errorsTotal).toBe(1)
    stage.calls[0]?.succeed()
    await turns()
    await stage.wait(200)
    expect(stage.calls).toHaveLength(1)

    await stage.queue.enqueue(2)
    for (let left = 100; stage.calls.length < 3; left--) {
      expect(left).toBeGreaterThan(0)
      await stage.wait(1)
    }
    stage.calls[1]?.succeed()
    await turns()
    expect(stage.calls[2]?.context.signal.aborted).toBe(true)
    stage.calls[2]?.succeed()
    await stage.wait(200)
    expect(stage.queue.metrics()).toMatchObject({ sentTotal: 2, batchesSentTotal: 2, pending: 0 })
    expect(stage.queue.metrics().sending).toBe(0)
    await stage.queue.close()
  })

  it('QU-4: deliveryTimeoutMs covers all attempts; a sender that throws or gives nothing costs only its own call', async () => {
    const stage = new Stage<number>({
      batchMaxItems: 1,
      retries: 1000,
      deliveryTimeoutMs: 50,
      retryBaseMs: 8,
      retryMaxMs: 8,
    })
    stage.answer = () => {
      throw new TypeError('a defect')
    }
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await stage.wait(60)
    const [failed] = stage.of('failed')
    expect(failed).toMatchObject({
      items: [1],
      firstPosition: 0,
      error: { code: 'PRODUCE_FAILED', context: { reason: 'SEND_FAILED' } },
    })
    expect(failed?.attempts).toBeGreaterThan(5)
    stage.answer = (call) => call.succeed()
    await stage.queue.enqueue(2)
    await turns()
    expect(stage.queue.metrics()).toMatchObject({ sentTotal: 1, failedTotal: 1 })
    await stage.queue.close()
  })

  it('QU-5: hold: the batch stays at the head, tried again every retryMaxMs, and nothing overtakes it', async () => {
    const stage = new Stage<number>({
      batchMaxItems: 1,
      retries: 1,
      retryBaseMs: 1,
      retryMaxMs: 10,
      onExhausted: 'hold',
    })
    stage.answer = (call) => call.fail()
    await stage.queue.start()
    await stage.queue.enqueueBatch([1, 2])
    await stage.wait(3)
    expect(stage.of('held')).toMatchObject([{ items: 1, attempts: 2, firstPosition: 0 }])
    await stage.wait(100)
    expect(stage.calls).toHaveLength(12)
    expect(stage.calls.every(({ items }) => items[0] === 1)).toBe(true)
    expect(stage.of('held')).toHaveLength(1)
    stage.answer = (call) => call.succeed()
    await stage.wait(10)
    expect(stage.delivered).toEqual([1, 2])
    await stage.queue.close()
  })

  it('QU-4: concurrency n sends n batches at a time, and a batch in back-off keeps its place', async () => {
    const stage = new Stage<number>({ batchMaxItems: 1, concurrency: 2, retryBaseMs: 50, retryMaxMs: 50 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(4))
    await turns()
    expect(stage.calls.map(({ items }) => items[0])).toEqual([0, 1])
    stage.calls[0]?.fail()
    await turns()
    expect(stage.calls).toHaveLength(2)
    stage.calls[1]?.succeed()
    await turns()
    expect(stage.calls.map(({ items }) => items[0])).toEqual([0, 1, 2])
    stage.answer = (call) => call.succeed()
    stage.calls[2]?.succeed()
    await stage.wait(60)
    expect([...stage.delivered].sort()).toEqual(numbers(4))
    await stage.queue.close()
  })

  it('QU-4: the circuit opens after failures in a row, lets one probe through, and closes after successes', async () => {
    const stage = new Stage<number>({
      batchMaxItems: 1,
      concurrency: 3,
      retries: 0,
      circuitBreaker: { failures: 2, successes: 2, openMs: 30 },
    })
    stage.answer = (call) => call.fail()
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(2))
    await turns()
    expect(stage.queue.metrics().circuitState).toBe('open')
    stage.answer = null
    await stage.queue.enqueueBatch(numbers(4, 2))
    await stage.wait(29)
    expect(stage.calls).toHaveLength(2)
    await stage.wait(1)
    expect(stage.calls).toHaveLength(3)
    stage.calls[2]?.succeed()
    await turns()
    expect(stage.calls).toHaveLength(4)
    stage.calls[3]?.succeed()
    await turns()
    expect(stage.calls).toHaveLength(6)
    expect(stage.of('circuit')).toEqual([
      { from: 'closed', to: 'open' },
      { from: 'open', to: 'halfOpen' },
      { from: 'halfOpen', to: 'closed' },
    ])
    await stage.queue.close({ timeoutMs: 0 })
  })

  it('QU-4: adaptive: slow sends make the next batch smaller, fast ones larger', async () => {
    const stage = new Stage<number>({
      batchMaxItems: 100,
      lingerMs: 0,
      adaptive: { minItems: 80, maxItems: 120, targetLatencyMs: 10 },
    })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await stage.wait(20)
    stage.calls[0]?.succeed()
    await turns()
    expect(stage.queue.metrics().batchSize).toBe(90)
    stage.answer = (call) => call.succeed()
    for (let at = 0; at < 30; at++) {
      await stage.queue.enqueue(at)
      await turns()
    }
    expect(stage.queue.metrics().batchSize).toBe(120)
    await stage.queue.close()
  })
})

describe('life', () => {
  it('QU-1, QU-2: enqueue outside its life is QUEUE_NOT_STARTED, QUEUE_STOPPED, QUEUE_CLOSED; states tell it', async () => {
    const stage = new Stage<number>()
    const { queue } = stage
    expect([queue.state, queue.isStarted, queue.isClosed]).toEqual(['new', false, false])
    expect(await refusalOf(queue.enqueue(1))).toMatchObject({
      code: 'PRODUCER_CLOSED',
      ...reasonOf('QUEUE_NOT_STARTED'),
    })
    expect(() => queue.tryEnqueue(1)).toThrow(expect.objectContaining(reasonOf('QUEUE_NOT_STARTED')))
    await Promise.all([queue.start(), queue.start()])
    await queue.start()
    expect([queue.state, queue.isStarted]).toEqual(['running', true])
    await queue.stop()
    expect(queue.state).toBe('stopped')
    expect(await refusalOf(queue.enqueueBatch([1]))).toMatchObject(reasonOf('QUEUE_STOPPED'))
    await queue.start()
    await queue.enqueue(1)
    const closing = queue.close()
    expect(queue.close()).toBe(closing)
    expect(await closing).toEqual({ sent: 1, failed: 0, dropped: 0, pending: 0 })
    expect([queue.state, queue.isClosed]).toEqual(['closed', true])
    expect(await refusalOf(queue.enqueue(1))).toMatchObject(reasonOf('QUEUE_CLOSED'))
    expect(await refusalOf(queue.start())).toMatchObject(reasonOf('QUEUE_CLOSED'))
    expect(await refusalOf(queue.ready())).toMatchObject(reasonOf('QUEUE_CLOSED'))
    await queue.flush()
    await queue.drain()
  })

  it('QU-1: enqueue during start is queued, in order', async () => {
    const stage = new Stage<number>({ durability: 'os', batchMaxItems: 2 })
    const starting = stage.queue.start()
    const accepted = [stage.queue.enqueue(1), stage.queue.enqueueBatch([2, 3]), stage.queue.enqueue(4)]
    expect(stage.queue.queueSize).toBe(0)
    await starting
    await Promise.all(accepted)
    await turns()
    expect(stage.delivered).toEqual([1, 2, 3, 4])
    await stage.queue.close()
  })

  it('QU-1: accepted in memory is one constant promise; in a log one per group', async () => {
    const memory = new Stage<number>()
    await memory.queue.start()
    expect(memory.queue.enqueue(1)).toBe(memory.queue.enqueue(2))
    await memory.queue.close()
    const logged = new Stage<number>({ durability: 'os' }, { wal: { frameItems: 100 } })
    await logged.queue.start()
    const [a, b] = [logged.queue.enqueue(1), logged.queue.enqueue(2)]
    expect(a).toBe(b)
    await a
    expect(logged.queue.enqueue(3)).not.toBe(a)
    await logged.queue.close()
  })

  it('QU-5: stop that runs out of time keeps everything; start goes on with the same batch', async () => {
    const stage = new Stage<number>({ batchMaxItems: 2 })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(3))
    await turns()
    const stopped = stage.queue.stop({ timeoutMs: 10 })
    await turns()
    await stage.wait(10)
    expect(await stopped).toEqual({ sent: 0, failed: 0, dropped: 0, pending: 3 })
    expect(stage.calls[0]?.context.signal.aborted).toBe(true)
    stage.calls[0]?.fail()
    stage.answer = (call) => call.succeed()
    await stage.queue.start()
    await stage.queue.flush()
    expect(stage.delivered).toEqual([0, 1, 2])
    expect(stage.calls[1]?.context).toMatchObject({ attempt: 2, firstPosition: 0 })
    await stage.queue.close()
  })

  it('QU-5: close in memory: what is not sent in time is dropped with its items; no timer remains', async () => {
    const stage = new Stage<number>({ batchMaxItems: 2, circuitBreaker: true })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(3))
    await turns()
    const closing = stage.queue.close({ timeoutMs: 10 })
    await stage.wait(10)
    expect(await closing).toEqual({ sent: 0, failed: 0, dropped: 3, pending: 0 })
    expect(stage.of('dropped')).toEqual([{ items: [0, 1, 2], count: 3, reason: 'closed' }])
    expect(stage.clock.pendingTimers).toBe(0)
    stage.calls[0]?.succeed() // Too late: it has its outcome.
    await turns()
    expect(stage.queue.metrics()).toMatchObject({ sentTotal: 0, droppedTotal: 3 })
  })

  it('QU-5: close in a durable mode: the rest stays in the log', async () => {
    const disk = new FakeDisk()
    const stage = new Stage<number>({ durability: 'os', batchMaxItems: 2 }, { disk })
    stage.answer = null
    await stage.queue.start()
    await stage.queue.enqueueBatch(numbers(3))
    await turns()
    expect(await stage.queue.close({ timeoutMs: 0 })).toEqual({ sent: 0, failed: 0, dropped: 0, pending: 3 })
    expect(stage.of('dropped')).toEqual([])
    expect(disk.unsettled).toBe(3)
    expect([stage.wal?.isClosed, stage.clock.pendingTimers]).toEqual([true, 0])

    const next = new Stage<number>({ durability: 'os', batchMaxItems: 2 }, { disk })
    await next.queue.start()
    await next.queue.flush()
    expect(next.delivered).toEqual([0, 1, 2])
    expect(next.calls.map(({ context }) => [context.incarnationId, context.firstPosition, context.recovered])).toEqual([
      ['incarnation1', 0, true],
      ['incarnation1', 2, true],
    ])
    expect(next.of('recovered')).toEqual([{ items: 3, tornBytes: 0, lostRanges: 0 }])
    await next.queue.close()
  })

  it('QU-5: nothing is sent before the log has it', async () => {
    const stage = new Stage<number>({ durability: 'immediate', batchMaxItems: 1 }, { wal: { auto: false } })
    await stage.queue.start()
    let isAccepted = false
    const accepted = stage.queue.enqueue(1).then(() => {
      isAccepted = true
    })
    await stage.wait(20)
    expect([isAccepted, stage.calls.length]).toEqual([false, 0])
    stage.wal?.commit()
    await accepted
    await turns()
    expect(stage.delivered).toEqual([1])
    await stage.queue.close()
  })

  it('QU-5: the log fails: what it had is sent, what it had not is told and dropped, nothing is taken any more', async () => {
    const stage = new Stage<number>({ durability: 'os', batchMaxItems: 10, lingerMs: 5 }, { wal: { auto: false } })
    await stage.queue.start()
    await Promise.all([stage.queue.enqueueBatch([1, 2]), turns().then(() => stage.wal?.commit())])
    const refused = refusalOf(stage.queue.enqueue(3))
    void stage.queue.enqueue(4) // Nobody waits for it: an event says it, not an unhandled rejection.
    stage.wal?.fail()
    expect(await refused).toMatchObject({ code: 'PRODUCE_FAILED', ...reasonOf('WAL_FAILED') })
    await turns()
    expect(stage.of('walFailed')).toHaveLength(1)
    expect(stage.of('error')).toMatchObject([reasonOf('WAL_FAILED')])
    expect(stage.of('dropped')).toEqual([{ items: [3, 4], count: 2, reason: 'walFailed' }])
    expect(await refusalOf(stage.queue.enqueue(5))).toMatchObject(reasonOf('WAL_FAILED'))
    await stage.wait(5)
    expect(stage.delivered).toEqual([1, 2])
    expect(await stage.queue.close()).toMatchObject({
      sent: 2,
      dropped: 2,
      pending: 0,
      failure: reasonOf('WAL_FAILED'),
    })
  })

  it('QU-5: an entry that cannot be read stays, is told once, and holds what is behind it', async () => {
    const disk = new FakeDisk()
    const first = new Stage<number>({ durability: 'os' }, { disk, wal: { frameItems: 1 } })
    first.answer = null
    await first.queue.start()
    await first.queue.enqueueBatch([1, 2, 3])
    await first.queue.close({ timeoutMs: 0 })
    const damaged = disk.frames[1]?.lsn as number
    disk.damaged.add(damaged)
    const next = new Stage<number>({ durability: 'os', batchMaxItems: 1, retryMaxMs: 100 }, { disk })
    await next.queue.start()
    await next.wait(250)
    expect(next.delivered).toEqual([1])
    expect(next.of('error')).toMatchObject([reasonOf('WAL_CORRUPT')])
    disk.damaged.clear()
    await next.wait(100)
    expect(next.delivered).toEqual([1, 2, 3])
    await next.queue.close()
  })

  it('QU-5: a listener that throws hurts nobody', async () => {
    const stage = new Stage<number>({ batchMaxItems: 1, retries: 0 })
    stage.queue.on('failed', () => {
      throw new Error('mine')
    })
    stage.answer = (call) => call.fail()
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await turns()
    expect(stage.queue.metrics()).toMatchObject({ failedTotal: 1, pending: 0 })
    await stage.queue.close()
  })

  it('QU-1: await using closes it', async () => {
    const stage = new Stage<number>()
    await stage.queue.start()
    await stage.queue.enqueue(1)
    await stage.queue[Symbol.asyncDispose]()
    expect([stage.queue.isClosed, stage.delivered]).toEqual([true, [1]])
  })
})

describe('figures', () => {
  it('QU-2, ME-1: series of the queue with its name; off, nothing is timed', async () => {
    const stage = new Stage<number>({ name: 'mail', batchMaxItems: 2 })
    const metrics = new Metrics({
      settings: resolveConfig({}).metrics,
      clientId: 'test',
      targetThroughputPerSec: 1,
      clock: stage.clock,
      logger: silentLogger,
    })
    metrics.attachRoom('queue', stage.queue)
    await stage.queue.start()
    for (const item of numbers(512)) await stage.queue.enqueue(item)
    await turns()
    const text = await metrics.text()
    expect(text).toMatch(/queue_sent_total\{.*queue="mail".*\} 512/)
    expect(text).toMatch(/queue_send_latency_count\{.*\} 256/)
    expect(stage.queue.metrics().enqueueSeconds.count).toBeGreaterThan(500)
    expect(stage.queue.metrics().enqueueSeconds.count).toBeLessThanOrEqual(512)
    await stage.queue.close()

    const silent = new Stage<number>({ metrics: false, batchMaxItems: 1 })
    await silent.queue.start()
    await silent.queue.enqueue(1)
    await turns()
    expect(silent.queue.metrics()).toMatchObject({ sentTotal: 1, sendSeconds: { count: 0 } })
    await silent.queue.close()
  })
})
