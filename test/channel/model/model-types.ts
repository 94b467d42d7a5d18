/** What the parts of the model share: records, calls, and what was seen of the channel from outside. */
export interface Rec {
  readonly n: number
  readonly bytes: number
  readonly charge: number
}

/** A call that gave a promise: what must become of it, and what became of it. */
export interface Call {
  readonly id: number
  readonly what: 'writeAsync' | 'read' | 'batch' | 'next' | 'ready' | 'close'
  expected: string | null
  actual: string | null
  /** Records it must give. */
  records: readonly Rec[]
  items: readonly unknown[]
  controller: AbortController | null
  iterator: IteratorModel | null
}

export interface IteratorModel {
  isDone: boolean
}

export interface Waiting {
  readonly call: Call
  /** Most records (readers). */
  readonly max: number
  /** What it wants to write. */
  readonly record: Rec | null
  readonly untilMs: number
}

/** A writer whose wait is over, but whose promise has not gone on. */
export interface Continuation {
  readonly call: Call
  readonly record: Rec
  /** Null: it has its room. */
  readonly error: string | null
}

export interface SealedModel {
  readonly sequence: number
  readonly records: readonly Rec[]
  readonly bytes: number
  read: number
}

/** A seal or a question to the strategy function, seen from outside. */
export interface SeenSeal {
  readonly written: number
  readonly atMs: number
}
export interface SeenAsk {
  readonly records: number
  readonly atMs: number
  readonly answer: boolean
}

/** What happens at a known time, the deadline apart. */
export interface Alarm {
  readonly atMs: number
  fire(): void
}

export interface CallbackModel {
  readonly id: number
  isRunning: boolean
}

/** Below this two times are the same; timers of ours are never so close to each other. */
export const EPSILON_MS = 1e-9

export class ModelError extends Error {}

export function check(isRight: boolean, text: () => string): void {
  if (!isRight) throw new ModelError(text())
}
