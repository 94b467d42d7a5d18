/** One run from its first step to its end, and the shortest story that still fails. */
import { ArenaPool } from '../../../lib/channel/index.js'
import type { MakeChannel } from './makers.js'
import { operations } from './operations.js'
import { Player } from './player.js'
import { makeSetup, makeSteps, type Setup, type Step } from './setup.js'

export interface Totals {
  runs: number
  steps: number
  records: number
  callbacks: number
  operations: Record<string, number>
  kinds: Record<string, number>
}

export interface Failure {
  readonly setup: Setup
  readonly steps: readonly Step[]
  readonly text: string
}

export function noTotals(): Totals {
  return { runs: 0, steps: 0, records: 0, callbacks: 0, operations: {}, kinds: {} }
}

/** Shared by all runs while none has failed: each must give back what it took. */
let arenas = new ArenaPool({ poison: true })

/** Gives null, or what failed. */
export async function play(
  setup: Setup,
  steps: readonly Step[],
  make: MakeChannel,
  totals: Totals | null = null,
  story: string[] | null = null,
): Promise<string | null> {
  let player: Player | null = null
  try {
    player = new Player(setup, make, arenas, story)
    for (const step of steps) await playStep(player, step)
    await end(player)
  } catch (error) {
    arenas = new ArenaPool({ poison: true })
    return error instanceof Error ? (error.constructor === Error ? String(error.stack) : error.message) : String(error)
  }
  if (totals !== null) count(totals, setup, steps, player)
  return null
}

async function playStep(player: Player, { op, a, b, then }: Step): Promise<void> {
  player.observe()
  const going = operations[op](player, a, b)
  if (going !== undefined) await going
  if (then === 'settle' || player.model.hasJustClosed) return player.settle()
  if (then === 'tick') await null
  player.observe()
  player.compare()
}

/** Closes if nobody did, lets time pass, gives everything back: then nothing may be left. */
async function end(player: Player): Promise<void> {
  await player.settle()
  player.tell(() => 'the end')
  const { running } = player.subscriptions
  while (running.length > 0) await operations.finish(player, 0, 1)
  await operations.close(player, player.setup.seed, 2)
  await player.settle()
  if (player.setup.seed % 2 === 0) while (player.model.readable > 0 && player.taken.length === 0) await drainOne(player)
  player.advance(100_000)
  await player.settle()
  while (running.length > 0) await operations.finish(player, 0, 1)
  // What was put back after the end can still be taken.
  while (player.model.sealed.length > 0) await operations.take(player, 0, 0)
  while (player.taken.length > 0) await operations.recycle(player, 0, 0)
  while (player.held.length > 0) await operations.release(player, 0, 0)
  await player.settle()
  player.checkGone()
}

async function drainOne(player: Player): Promise<void> {
  if (player.setup.kind !== 'batches') await operations.tryRead(player, 0, 0)
  else {
    await operations.take(player, 0, 0)
    await operations.recycle(player, 0, 0)
  }
  await player.settle()
}

function count(totals: Totals, setup: Setup, steps: readonly Step[], player: Player): void {
  totals.runs++
  totals.steps += steps.length
  totals.records += player.model.written
  totals.callbacks += player.subscriptions.calls
  for (const { op } of steps) totals.operations[op] = (totals.operations[op] ?? 0) + 1
  const kind = `${setup.kind}, ${setup.onFull}`
  totals.kinds[kind] = (totals.kinds[kind] ?? 0) + 1
}

/** Plays runs of one seed after the other; stops at the first that fails. */
export async function campaign(
  runs: number,
  seed: number,
  make: MakeChannel,
  totals: Totals,
  onRun: () => void = () => {},
): Promise<Failure | null> {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0 // Every tenth call is refused, and a stack costs more than all the rest.
  try {
    for (let run = 0; run < runs; run++) {
      const setup = makeSetup(seed + run)
      const steps = makeSteps(setup)
      const text = await play(setup, steps, make, totals)
      if (text !== null) return { setup, steps, text }
      onRun()
    }
    return null
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Removes steps while it still fails, in halves, quarters, and at last one by one. */
export async function shrink(failure: Failure, make: MakeChannel): Promise<Failure> {
  let { steps, text } = failure
  const { setup } = failure
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = steps.length - size; at >= 0; at--) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)]
      const other = await play(setup, fewer, make)
      if (other === null) continue
      steps = fewer
      text = other
    }
  }
  return { setup, steps, text }
}

/** The failing story in words: its setup, what was done, what was wrong. */
export async function tell({ setup, steps, text }: Failure, make: MakeChannel): Promise<string> {
  const story: string[] = []
  await play(setup, steps, make, null, story)
  const told = JSON.stringify(setup, (_, value) => (value === Number.POSITIVE_INFINITY ? 'Infinity' : value))
  return [
    `seed ${setup.seed}: ${text}`,
    `setup ${told}`,
    `${steps.length} steps:`,
    ...story.map((line) => `  ${line}`),
  ].join('\n')
}
