/**
 * A process that stays for all rounds of one case, and the row that it measures. Invariant: it answers each command once or fails; a failure, a time-out
 * and an end of its own all reject, and after them it is gone.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { BeginJob, ChannelAnswer, ChannelCommand, ChannelRound, Readiness } from './channel-job.js'
import type { ChannelRow } from './channel-rows.js'
import type { ChannelResult } from './channel-table.js'
import { compiledWorker } from './compiled.js'

const LIMIT_MS = 120_000

export class CaseProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  /** Why it cannot answer any more. */
  #failure: string | null = null
  #answer: (answer: ChannelAnswer) => void = () => {}

  constructor() {
    this.#child = fork(compiledWorker('channel-worker'), [], { execArgv: ['--expose-gc'] })
    this.#ended = new Promise((resolve) => this.#child.once('close', () => resolve()))
    this.#child.on('message', (answer) => this.#answer(answer as ChannelAnswer))
    this.#child.once('error', (error) => this.#failed(error.message))
    this.#child.once('exit', (code, signal) => this.#failed(`the process ended (${signal ?? code})`))
  }

  async begin(job: BeginJob): Promise<Readiness> {
    const answer = await this.#ask({ begin: job })
    if ('ready' in answer) return answer.ready
    throw unexpected(answer)
  }

  async round(): Promise<ChannelRound> {
    const answer = await this.#ask('round')
    if ('round' in answer) return answer.round
    throw unexpected(answer)
  }

  /** Lets it check what is left and end; throws what it found. */
  async end(): Promise<void> {
    if (this.#failure !== null) return
    const answer = new Promise<ChannelAnswer>((resolve) => {
      this.#answer = resolve
    })
    this.#child.send('end' satisfies ChannelCommand)
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), LIMIT_MS)
    await this.#ended
    clearTimeout(limit)
    const { exitCode } = this.#child
    if (exitCode !== 0) throw unexpected(await answer)
  }

  /** Ends it at once; harmless when it has ended. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #ask(command: ChannelCommand): Promise<ChannelAnswer> {
    if (this.#failure !== null) return Promise.reject(new Error(this.#failure))
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.#failed(`no answer within ${LIMIT_MS} ms`), LIMIT_MS)
      this.#answer = (answer) => {
        clearTimeout(limit)
        resolve(answer)
      }
      this.#child.send(command)
    })
  }

  #failed(failure: string): void {
    this.#failure ??= failure
    this.kill()
    this.#answer({ failure: this.#failure })
  }
}

function unexpected(answer: ChannelAnswer): Error {
  return new Error('failure' in answer ? answer.failure : 'an answer to another question')
}

/** One row while it is measured. After a failure it does nothing more. */
export class RunningRow {
  result: ChannelResult
  readonly #process = new CaseProcess()

  constructor(row: ChannelRow) {
    this.result = { row, readiness: null, rounds: [], failure: null }
  }

  begin(isQuick: boolean): Promise<void> {
    const { what, figure } = this.result.row
    return this.#try(async () => {
      const job = { what, isQuick, figure: figure === 'heap' ? figure : 'time' } as const
      this.result = { ...this.result, readiness: await this.#process.begin(job) }
    })
  }

  measure(): Promise<void> {
    return this.#try(async () => {
      const round = await this.#process.round()
      this.result = { ...this.result, rounds: [...this.result.rounds, round] }
    })
  }

  end(): Promise<void> {
    return this.#try(() => this.#process.end())
  }

  async #try(step: () => Promise<void>): Promise<void> {
    if (this.result.failure !== null) return
    try {
      await step()
    } catch (error) {
      this.result = { ...this.result, failure: error instanceof Error ? error.message : String(error) }
      this.#process.kill()
    }
  }
}
