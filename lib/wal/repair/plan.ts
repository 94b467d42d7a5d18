/**
 * A repair: what it would do, told before anything is done.
 * Why in two steps: whoever repairs a log at night wants to read first. A plan is made without changing anything; what
 * it needs to be sure (the lock, the same facts as before) it asks for again when it is applied.
 * Invariant: before a file is changed or taken away, a copy of it is on the disk (copy-aside.ts). Source: wal.md 5.
 */

export interface RepairPlan {
  /** Told to an operator, in the order of doing. Empty: there is nothing to do. */
  readonly steps: readonly string[]
  /** What the operator has to know before: what is lost, what cannot be checked from here. */
  readonly warnings: readonly string[]
  /** Files of the directory that are copied into `quarantine/` first. */
  readonly copies: readonly string[]
  /** @throws MQError WAL_LOCKED, or what the disk says. The directory is then as it was, or as after a crash in it. */
  apply(): Promise<RepairReport>
}

export interface RepairReport {
  /** Paths of the copies, the report last; empty when nothing had to be copied. */
  readonly copies: readonly string[]
}

/** `why`: told as a warning. */
export function nothingToDo(why: string): RepairPlan {
  return { steps: [], warnings: [why], copies: [], apply: async () => ({ copies: [] }) }
}
