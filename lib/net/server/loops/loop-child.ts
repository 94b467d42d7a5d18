/**
 * One loop process, as its server sees it.
 * Invariant: `onReady` or `onEnd` comes first, `onEnd` last and once; `connections` never counts one that the process cannot have.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { isErrorCode, MQError } from '../../../errors/index.js'
import { type NetMeasures, NO_MEASURES } from '../measures.js'
import type { ErrorText, FromLoop, ToLoop } from './messages.js'

/** Beside this file, in the sources as in the build. */
const PROGRAM = fileURLToPath(new URL(`./loop-process${import.meta.url.slice(-3)}`, import.meta.url))
/** After its connections' time to stop a process gets this much for itself. Milliseconds. */
const EXIT_MS = 2000

export interface LoopChildEvents {
  readonly onReady: () => void
  readonly onError: (error: MQError) => void
  /** `why`: what it said before, or how it ended. */
  readonly onEnd: (why: string) => void
}

export class LoopChild {
  readonly index: number
  isReady = false
  measures: NetMeasures = NO_MEASURES
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  #handed = 0
  #gone = 0
  #refusal: string | null = null

  constructor(index: number, nodeArguments: readonly string[], begin: ToLoop, events: LoopChildEvents) {
    this.index = index
    const child = fork(PROGRAM, [], { execArgv: [...nodeArguments], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#process = child
    child.on('message', (message: FromLoop) => this.#hear(message, events))
    this.#ended = new Promise((resolve) => {
      const end = (why: string) => {
        this.isReady = false
        events.onEnd(this.#refusal ?? why)
        resolve()
      }
      child.once('exit', (code, signal) => end(signal ?? `exit code ${code}`))
      child.once('error', (error) => {
        // Not started at all: no 'exit' follows.
        if (child.pid === undefined) end(error.message)
        else
          events.onError(
            new MQError('CONNECTION_FAILED', `loop ${index}: ${error.message}`, { loop: index }, { cause: error }),
          )
      })
    })
    this.#say(begin)
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Those on their way to it included. */
  get connections(): number {
    return this.#handed - this.#gone
  }

  handOver(socket: Socket): void {
    this.#handed++
    const message: ToLoop = { kind: 'connection' }
    this.#process.send(message, socket, { keepOpen: false }, (error) => {
      if (error === null) return
      this.#handed--
      socket.destroy()
    })
  }

  /** Lets it end in order, and ends it when it does not. Resolves when the process is gone. */
  async stop(timeoutMs: number): Promise<void> {
    this.#say({ kind: 'stop', timeoutMs })
    const limit = setTimeout(() => this.#process.kill('SIGKILL'), timeoutMs + EXIT_MS)
    await this.#ended
    clearTimeout(limit)
  }

  #say(message: ToLoop): void {
    // What cannot be said any more has an 'exit' coming.
    if (this.#process.connected) this.#process.send(message, () => {})
  }

  #hear(message: FromLoop, { onReady, onError }: LoopChildEvents): void {
    if (message.kind === 'report') {
      this.#gone = message.gone
      this.measures = message.measures
    } else if (message.kind === 'error') onError(errorOf(message.error, this.index))
    else if (message.kind === 'refused') this.#refusal = message.why
    else {
      this.isReady = true
      onReady()
    }
  }
}

function errorOf({ code, message, context }: ErrorText, loop: number): MQError {
  return new MQError(isErrorCode(code) ? code : 'CONSUME_FAILED', message, { ...context, loop })
}
