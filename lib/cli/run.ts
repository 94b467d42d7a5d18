/**
 * One run of one command: its clients, which are closed whatever happens, its output, its limits.
 * Invariant: after a command nothing of it is open, also when it failed half way.
 */
import {
  AdminClient,
  Consumer,
  type ConsumerConfig,
  configWarnings,
  Producer,
  type ProducerConfig,
  type ResolvedConfig,
} from '../index.js'
import type { CliIo } from './io.js'
import { Output } from './output.js'
import { type ClusterFlags, type Demands, settingsOf } from './settings.js'
import { integer } from './usage.js'

interface Closable {
  close(): Promise<unknown>
}

const MAX_SECONDS = 3600

export class Run {
  readonly io: CliIo
  readonly flags: ClusterFlags
  readonly out: Output
  /** `-m`, for whatever waits for an answer. Milliseconds; undefined: the default of the call. */
  readonly timeoutMs: number | undefined
  readonly #parts: Closable[] = []

  constructor(io: CliIo, flags: ClusterFlags) {
    this.io = io
    this.flags = flags
    this.out = new Output(io, flags)
    const { timeout } = flags
    this.timeoutMs = timeout === undefined ? undefined : integer('-m', timeout, 1, MAX_SECONDS) * 1000
  }

  /** Of a call that waits: ends with the command too. */
  get limits(): { timeoutMs?: number; signal: AbortSignal } {
    const { timeoutMs } = this
    const { signal } = this.io
    return timeoutMs === undefined ? { signal } : { timeoutMs, signal }
  }

  settings(demands: Demands = {}): ResolvedConfig {
    const settings = settingsOf(this.flags, this.io.env, this.io.stderr, demands)
    for (const { path, message } of configWarnings(settings)) {
      if (!/^(producer|consumer)\./.test(path)) settings.logger.warn(`${path}: ${message}`) // These tell their own.
    }
    return settings
  }

  admin(settings: ResolvedConfig): AdminClient {
    return this.keep(new AdminClient(settings))
  }

  /** Resolved configurations are taken as they are. */
  producer(settings: ResolvedConfig): Producer {
    return this.keep(new Producer(settings.producer as ProducerConfig))
  }

  consumer(settings: ResolvedConfig): Consumer {
    return this.keep(new Consumer(settings.consumer as ConsumerConfig))
  }

  keep<T extends Closable>(part: T): T {
    this.#parts.push(part)
    return part
  }

  /** Youngest first; the first error is thrown when all are closed. */
  async close(): Promise<void> {
    this.out.endProgress()
    const errors: unknown[] = []
    for (const part of this.#parts.splice(0).reverse()) await part.close().catch((error: unknown) => errors.push(error))
    if (errors.length > 0) throw errors[0]
  }
}
