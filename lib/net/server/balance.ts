/**
 * Which loop gets the next connection. Decides only; the server hands over. NT-2.
 */

/** A loop as a balancer sees it. */
export interface LoopFacts {
  /** 0 .. numLoops - 1. */
  readonly index: number
  /** Open connections, those on their way to it included. */
  readonly connections: number
}

/** Gives the index of one of `loops`: those that can take a connection now, by index; never none. */
export type LoadBalance = (loops: readonly LoopFacts[]) => number

/** One after the other, beginning with the first. A loop that is gone is passed over. */
export function roundRobin(): LoadBalance {
  let next = 0
  return (loops) => {
    const chosen = loops.find(({ index }) => index >= next) ?? (loops[0] as LoopFacts)
    next = chosen.index + 1
    return chosen.index
  }
}

/** The one with the fewest connections; of equal ones the first. */
export function leastConnection(): LoadBalance {
  return (loops) => {
    let least = loops[0] as LoopFacts
    for (const loop of loops) if (loop.connections < least.connections) least = loop
    return least.index
  }
}
