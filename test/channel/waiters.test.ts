import { describe, expect, it } from 'vitest'
import { WaiterQueue } from '../../lib/channel/index.js'
import { MQError } from '../../lib/errors/index.js'
import { FakeClock } from '../../lib/util/index.js'

const timedOut = () => new MQError('TIMEOUT', 'too late')
const closed = () => new MQError('CONSUMER_CLOSED', 'closed')

/** Fifty that wait, and the order in which they were served or turned away. */
function fifty() {
  const queue = new WaiterQueue<string>()
  const served: number[] = []
  const rejected: number[] = []
  const waiters = Array.from({ length: 50 }, (_, index) => {
    const waiter = queue.add(undefined, {}, timedOut)
    waiter.promise.then(
      () => served.push(index),
      () => rejected.push(index),
    )
    return waiter
  })
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  return { queue, served, rejected, waiters, settle }
}

describe('WaiterQueue', () => {
  it('CH-15: 50 wait; 30 wake in FIFO order, 0 wakes nobody, close rejects the other 20', async () => {
    const { queue, served, rejected, settle } = fifty()
    expect(queue.wake(30, 'go')).toBe(30)
    expect(queue.wake(0, 'go')).toBe(0)
    await settle()
    expect(served).toEqual(Array.from({ length: 30 }, (_, index) => index))
    expect(queue.size).toBe(20)
    queue.rejectAll(closed)
    await settle()
    expect(rejected).toEqual(Array.from({ length: 20 }, (_, index) => 30 + index))
    expect([queue.size, queue.wake(5, 'go')]).toEqual([0, 0])
  })

  it('CH-15: to leave twice is harmless, and the place is free at once', async () => {
    const { queue, served, waiters, settle } = fifty()
    expect([waiters[1]?.leave(), waiters[1]?.leave()]).toEqual([true, false])
    expect(queue.size).toBe(49)
    expect(queue.wake(3, 'go')).toBe(3)
    await settle()
    expect(served).toEqual([0, 2, 3])
    expect(waiters[0]?.leave()).toBe(false)
    expect(queue.wake(1000, 'go')).toBe(46)
  })

  it('CH-15: a time-out leaves the queue, and no timer stays behind those who were served', async () => {
    const clock = new FakeClock()
    let left = 0
    const queue = new WaiterQueue<string>(() => left++)
    const late = queue.add(undefined, { timeoutMs: 10, clock }, timedOut).promise
    const early = queue.add(undefined, { timeoutMs: 99, clock }, timedOut).promise
    clock.advance(10)
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect([queue.size, left]).toEqual([1, 1])
    queue.wake(1, 'go')
    expect(await early).toBe('go')
    expect(clock.pendingTimers).toBe(0)
  })

  it('CH-15: an aborted call rejects with signal.reason unchanged', async () => {
    const queue = new WaiterQueue<string>()
    const [before, during] = [new AbortController(), new AbortController()]
    const reason = { my: 'reason' }
    before.abort(reason)
    await expect(queue.add(undefined, { signal: before.signal }, timedOut).promise).rejects.toBe(reason)
    const waiting = queue.add(undefined, { signal: during.signal }, timedOut).promise
    expect(queue.size).toBe(1)
    during.abort(reason)
    expect(queue.size).toBe(0)
    await expect(waiting).rejects.toBe(reason)
  })
})
