/**
 * What becomes of a failed record, as `onError` decides and the sinks carry out.
 * Why a file of its own: cursors keep a letter while it waits, and know neither who writes it nor who decided.
 */

/** A failed record, or batch, on its way to another topic. */
export interface DeadLetter {
  /** Writes what is not acknowledged yet. Resolves with -1 when all is, else with the wait before the next attempt. Never rejects. */
  write(): Promise<number>
}

export type Verdict =
  | { readonly action: 'retry'; readonly delayMs: number }
  | { readonly action: 'dlq'; readonly letter: DeadLetter }
  | { readonly action: 'skip' | 'stop' }
