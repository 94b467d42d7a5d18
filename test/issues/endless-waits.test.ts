/**
 * `close({ timeoutMs: Infinity })` gave up at once: Node's timers take 31 bits and ring after 1 ms for anything longer.
 */
import { expect, it } from 'vitest'
import { systemClock } from '../../lib/util/index.js'

it('a wait that is longer than timers can take does not end at once', async () => {
  const rung: number[] = []
  const timers = [2 ** 31, Number.POSITIVE_INFINITY].map((ms) => systemClock.setTimer(() => rung.push(ms), ms))
  await new Promise((resolve) => setTimeout(resolve, 20)) // Longer than the millisecond it would take.
  for (const timer of timers) timer.cancel()
  expect(rung).toEqual([])
})
