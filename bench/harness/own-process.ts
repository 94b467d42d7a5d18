/**
 * One run in a process of its own: no client pays for the heap, the JIT or the garbage of another.
 * Invariant: settles exactly once, at the latest when the limit has ended the process.
 */
import { fork } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

export type Answer<T> = { measurement: T } | { failure: string }

export interface OwnProcess {
  /** Path of the compiled worker: it gets the job and answers once, by IPC. */
  readonly worker: string
  readonly limitMs: number
  /** The build of ours that is measured, as a URL; default `dist`. */
  readonly entry?: string | undefined
  /** Settles when the process has ended, not when it has answered: what it held is free then. Default false. */
  readonly untilEnded?: boolean
  /** Default none: the flags of the benchmark's own loader are not passed on. */
  readonly nodeArguments?: readonly string[]
}

export function inOwnProcess<T>(
  job: object,
  { worker, limitMs, entry, untilEnded = false, nodeArguments = [] }: OwnProcess,
): Promise<Answer<T>> {
  return new Promise((resolve) => {
    const child = fork(worker, [], {
      cwd: REPOSITORY,
      execArgv: [...nodeArguments],
      env: { ...process.env, TANDEM_ENTRY: entry ?? pathToFileURL(`${REPOSITORY}dist/index.js`).href },
    })
    const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
    let answered: Answer<T> | null = null
    const settle = (answer: Answer<T>) => {
      clearTimeout(limit)
      resolve(answered ?? answer)
    }
    child.once('message', (answer) => {
      answered = answer as Answer<T>
      if (!untilEnded) settle(answered)
    })
    child.once('error', (error) => settle({ failure: error.message }))
    child.once('exit', (code, signal) => settle({ failure: `the process ended without a result (${signal ?? code})` }))
    child.send(job)
  })
}
