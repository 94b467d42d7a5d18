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
