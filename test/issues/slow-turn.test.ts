/**
 * A turn of one partition looked at the time only when it was over: 500 callbacks of a millisecond kept sockets and
 * timers waiting for half a second. K-14, C-16.
 */
import { expect, it } from 'vitest'
import { bench, Seen } from '../consumer/support.js'

const on = bench()

it.each([['without'], ['with']])('K-14: slow callbacks %s promises leave the loop its turns', async (kind) => {
  const broker = await on.start()
  broker.createTopic('t')
  await on.produceNumbers('t', 0, 0, 320)
  const seen = new Seen()
  let turns = 0
  let isOver = false
  const tick = () => {
    turns++
    if (!isOver) setImmediate(tick)
  }
  await on.consumer().assign(['t'], (record) => {
    if (record.offset === 0) tick()
    for (const untilMs = performance.now() + 1; performance.now() < untilMs; );
    seen.take(record)
    isOver = record.offset === 319
    return kind === 'with' ? Promise.resolve() : undefined
  })
  await seen.count(320)
  expect(turns).toBeGreaterThan(10)
})

// Sixteen callbacks of 700 ms in one go are silence for longer than a session of 10 s.
it.each(['partition', 'key'] as const)(
  'K-15: behind each very slow callback by %s the loop gets a turn',
  async (by) => {
    const broker = await on.start()
    broker.createTopic('t')
    await on.produceNumbers('t', 0, 0, 24)
    const seen = new Seen()
    const turnOf: number[] = []
    let turns = 0
    const tick = () => {
      turns++
      if (turnOf.length < 24) setImmediate(tick)
    }
    tick()
    await on.consumer({ concurrencyBy: by }).assign(['t'], (record) => {
      turnOf.push(turns)
      for (const untilMs = performance.now() + 12; performance.now() < untilMs; );
      seen.take(record)
    })
    await seen.count(24)
    expect(new Set(turnOf).size).toBe(24)
  },
)
