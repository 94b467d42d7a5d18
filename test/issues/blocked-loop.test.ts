/**
 * A loop that was blocked for longer than the session, or a process that was stopped, went on with what it had buffered
 * before its timers could say that the partitions are somebody else's by now: two slices of 8 ms. C-28, C-40.
 */
import { expect, it } from 'vitest'
import { deferred } from '../../lib/util/index.js'
import { bench } from '../consumer/support.js'

const on = bench()
const SESSION_MS = 400

it.each([
  ['classic', 'partition'],
  ['classic', 'key'],
  ['consumer', 'partition'],
] as const)(
  'C-28, C-40: behind a callback longer than the session nothing lost is begun (%s, by %s)',
  async (groupProtocol, by) => {
    const intervals = { 'group.consumer.heartbeat.interval.ms': 100 }
    const sessions = { 'group.min.session.timeout.ms': 100, 'group.consumer.session.timeout.ms': 30_000 }
    const broker = await on.start({ config: { ...intervals, ...sessions } })
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 400)
    const times = { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 100, maxPollIntervalMs: 60_000 }
    const consumer = on.consumer({ groupId: 'g', groupProtocol, concurrencyBy: by, ...times })
    const lost = deferred<void>()
    const log: (number | 'lost')[] = []
    consumer.on('lost', () => {
      log.push('lost')
      lost.resolve()
    })
    let isBlocked = false
    await consumer.subscribe('t', ({ offset }) => {
      log.push(offset)
      if (isBlocked || offset < 3) return // The fourth of a turn: behind it the clock is looked at.
      isBlocked = true
      for (const untilMs = performance.now() + 2 * SESSION_MS; performance.now() < untilMs; );
    })
    await lost.promise
    expect(log.slice(0, 5)).toEqual([0, 1, 2, 3, 'lost'])
  },
)
