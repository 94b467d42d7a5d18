/**
 * Counts what a call leaves on the heap.
 * Why: "nothing is created per record" is a claim about allocation, and a claim needs a count (style 5).
 * The young generation is made large enough for the loop and is collected before it, so that heapUsed only grows.
 */
import v8 from 'node:v8'
import vm from 'node:vm'

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

/** Heap bytes per call, the least of several rounds: what the engine does beside it is not the call's. */
export function bytesPerCall(call: () => void, calls: number, rounds = 5): number {
  for (let index = 0; index < calls; index++) call()
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    collect()
    const before = process.memoryUsage().heapUsed
    for (let index = 0; index < calls; index++) call()
    const grown = process.memoryUsage().heapUsed - before
    // A scavenge in between makes it negative: such a round says nothing.
    if (grown >= 0) least = Math.min(least, grown / calls)
  }
  if (least === Number.POSITIVE_INFINITY) throw new Error('every round was collected: use fewer calls')
  return least
}
