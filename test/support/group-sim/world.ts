/**
 * A world of processes that share one virtual time and nothing else: each may stand still, go on, or die.
 * Why not the driven clock: it knows one time for all. Here every timer and every message belongs to a process, so that
 * one of them can be stopped as by SIGSTOP (what is due waits, and comes when it goes on) or killed (it never comes).
 * Invariant: one thing happens at a time, and all promises it settles have run before the next; the order is a matter
 * of due times and of the order of asking alone, so a seed plays the same again.
 */
import { type Clock, MinHeap, type TimerHandle } from '../../../lib/util/index.js'

/** Wall time when a world begins. Milliseconds since 1970. */
const START_MS = 1_700_000_000_000

/** Somebody reads the story: timers remember where they were made. */
const IS_TOLD = process.env.STORY !== undefined

/** Times are multiples of 1/64 ms: sums and differences of them are exact, so that no timer rings a rounding too early. */
const GRAIN = 64
/** A life has some ten thousand; without a limit one that spins would never end. */
const MAX_STEPS = 150_000

export type Kind = 'timer' | 'io'

interface Happening extends TimerHandle {
  dueMs: number
  order: number
  readonly owner: SimProcess
  readonly kind: Kind
  task: (() => void) | null
}

export class World {
  readonly problems: string[] = []
  readonly #queue = new MinHeap<Happening>((a, b) => a.dueMs - b.dueMs || a.order - b.order)
  readonly #story: string[] = []
  #nowMs = 0
  #order = 0
  /** How many things have happened. */
  steps = 0

  get nowMs(): number {
    return this.#nowMs
  }

  process(name: string): SimProcess {
    return new SimProcess(name, this)
  }

  tell(text: string): void {
    this.#story.push(`${this.#nowMs.toFixed(0).padStart(6)} ${text}`)
  }

  /** Something that must not be. */
  blame(text: string): void {
    this.tell(`!! ${text}`)
    this.problems.push(`at ${this.#nowMs.toFixed(0)} ms: ${text}`)
  }

  story(lines: number): string {
    return this.#story.slice(-lines).join('\n')
  }

  /** @internal */
  schedule(owner: SimProcess, kind: Kind, delayMs: number, task: () => void): Happening {
    const happening: Happening = {
      dueMs: Math.ceil((this.#nowMs + Math.max(0, delayMs)) * GRAIN) / GRAIN,
      order: this.#order++,
      owner,
      kind,
      task,
      cancel() {
        happening.task = null
        owner.timers.delete(happening)
      },
    }
    this.#queue.push(happening)
    return happening
  }

  /** What was missed comes now; who asked for it can still call it off. @internal */
  again(happening: Happening): void {
    happening.dueMs = this.#nowMs
    happening.order = this.#order++
    this.#queue.push(happening)
  }

  /** Lets things happen until it is so (true), or until the limit (false), or until something is wrong (false). */
  async until(isSo: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = this.#nowMs + limitMs
    while (this.problems.length === 0) {
      if (isSo()) return true
      const next = this.#queue.peek()
      if (next === undefined || next.dueMs > untilMs) {
        this.#nowMs = untilMs
        return isSo()
      }
      this.#queue.pop()
      if (next.task === null) continue
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      if (!next.owner.takes(next)) continue
      this.steps++
      if (this.steps > MAX_STEPS) this.blame('runs in circles')
      this.#happen(next)
      await promisesSettled()
    }
    return false
  }

  async pass(ms: number): Promise<void> {
    await this.until(() => false, ms)
  }

  #happen(happening: Happening): void {
    const task = happening.task as () => void
    happening.cancel()
    try {
      task()
    } catch (error) {
      this.blame(`${happening.owner.name} threw: ${error instanceof Error ? error.stack : String(error)}`)
    }
  }
}

/** One process: the clock of all that runs in it. */
export class SimProcess implements Clock {
  readonly name: string
  readonly world: World
  /** Timers that would still ring. */
  readonly timers = new Map<TimerHandle, string>() // and where it was made
  readonly #missed: Happening[] = []
  #isFrozen = false
  #isDead = false

  constructor(name: string, world: World) {
    this.name = name
    this.world = world
  }

  get isFrozen(): boolean {
    return this.#isFrozen
  }

  get isDead(): boolean {
    return this.#isDead
  }

  now(): number {
    return START_MS + this.world.nowMs
  }

  monotonicMs(): number {
    return this.world.nowMs
  }

  setTimer(task: () => void, delayMs: number): TimerHandle {
    const timer = this.world.schedule(this, 'timer', delayMs, task)
    this.timers.set(timer, IS_TOLD ? (new Error('made here').stack ?? '') : '')
    return timer
  }

  defer(task: () => void): void {
    this.world.schedule(this, 'timer', 0, task)
  }

  /** Something came from outside. */
  receive(task: () => void, delayMs = 0): void {
    this.world.schedule(this, 'io', delayMs, task)
  }

  /** A timer of the program itself, not of the library it uses. */
  later(task: () => void, delayMs: number): void {
    this.world.schedule(this, 'timer', delayMs, task)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.later(resolve, ms))
  }

  freeze(): void {
    this.#isFrozen = true
  }

  /** Goes on: what came from outside and what became due meanwhile, in the one or the other order. */
  thaw(first: Kind): void {
    this.#isFrozen = false
    const missed = this.#missed.splice(0).filter(({ task }) => task !== null)
    const ordered = [...missed.filter(({ kind }) => kind === first), ...missed.filter(({ kind }) => kind !== first)]
    for (const happening of ordered) this.world.again(happening)
  }

  die(): void {
    this.#isDead = true
    this.#missed.length = 0
    this.timers.clear()
  }

  /** @internal False: not now, or never. */
  takes(happening: Happening): boolean {
    if (this.#isDead) return false
    if (this.#isFrozen) this.#missed.push(happening)
    return !this.#isFrozen
  }
}

/** A macrotask of its own: every promise that can settle has. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
