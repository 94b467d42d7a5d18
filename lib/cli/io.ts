/**
 * What a command may touch of its process: streams, environment, the wish to stop.
 * Why an argument: a test runs `main` with streams of its own, without a process.
 * Invariant: `write` resolves when there is room for more, so no command holds more than a batch in memory; what is
 * written after the reader has gone (EPIPE) is dropped in silence, and `signal` says so.
 */
export interface Sink {
  readonly isTty: boolean
  write(bytes: string | Uint8Array): Promise<void>
}

export interface CliIo {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly stdout: Sink
  readonly stderr: Sink
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by SIGINT, SIGTERM, or a reader that has gone: finish what was begun, then end. */
  readonly signal: AbortSignal
}

/** Resolves when somebody wants the command to end. */
export function whenStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves after `ms`, or as soon as the command is to end. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
}
