/**
 * Processes of a benchmark that answer what they are asked, one question at a time.
 * Invariant: a process that says nothing for `SILENT_MS` fails its run; `gone` returns when it has ended.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { compiledWorker } from './compiled.js'

/** A run that says nothing for so long is ended. */
const SILENT_MS = 60_000

/** `name` stands compiled (`compileWorkers`). The flags of the benchmark's own loader are not passed on. */
export function start(name: string, nodeArguments: readonly string[] = []): ChildProcess {
  return fork(compiledWorker(name), [], { execArgv: [...nodeArguments] })
}

/** The next message. Rejects when the process ends first, or says nothing. */
export function next<T>(child: ChildProcess, silentMs = SILENT_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => settle(() => reject(new Error(`a process said nothing for ${silentMs} ms`))),
      silentMs,
    )
    const settle = (act: () => void) => {
      clearTimeout(limit)
      child.off('message', onMessage)
      child.off('exit', onExit)
      act()
    }
    const onMessage = (message: unknown) => settle(() => resolve(message as T))
    const onExit = (code: number | null) => settle(() => reject(new Error(`a process ended with ${code}`)))
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}

/** Its answer to `question`. */
export function ask<T>(child: ChildProcess, question: object, silentMs = SILENT_MS): Promise<T> {
  const answer = next<T>(child, silentMs)
  child.send(question)
  return answer
}

export async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** Linux only; elsewhere the system places them. */
export function pin(child: ChildProcess, core: number): void {
  if (process.platform !== 'linux' || child.pid === undefined) return
  try {
    execFileSync('taskset', ['-a', '-p', '-c', String(core), String(child.pid)], { stdio: 'ignore' })
  } catch {
    // No taskset, or one core only: the run is as good as the system makes it, and the table says what is compared.
  }
}
