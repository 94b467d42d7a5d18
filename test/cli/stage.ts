/** The program without a process: streams in memory, an environment, a signal that a test pulls. */
import { afterEach } from 'vitest'
import { type Broker, type BrokerOptions, createBroker } from '../../lib/broker/index.js'
import { type CliIo, main, type Sink } from '../../lib/cli/index.js'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array>
  readonly env?: Record<string, string>
  readonly isTty?: boolean
}

export class FakeSink implements Sink {
  readonly isTty: boolean
  readonly #parts: Buffer[] = []
  readonly #waiters: { readonly isMet: (text: string) => boolean; readonly resolve: () => void }[] = []

  constructor(isTty: boolean) {
    this.isTty = isTty
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  get text(): string {
    return this.bytes.toString()
  }

  write(bytes: string | Uint8Array): Promise<void> {
    this.#parts.push(Buffer.from(bytes))
    for (const waiter of this.#waiters.splice(0)) {
      if (waiter.isMet(this.text)) waiter.resolve()
      else this.#waiters.push(waiter)
    }
    return Promise.resolve()
  }

  /** Resolves when what was written looks like that. */
  until(isMet: (text: string) => boolean): Promise<void> {
    if (isMet(this.text)) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ isMet, resolve }))
  }
}

/** A program that runs: its streams, and the hand on its signal. */
export class Running {
  readonly stdout: FakeSink
  readonly stderr: FakeSink
  readonly done: Promise<Ran>
  readonly #stop = new AbortController()

  constructor(words: readonly string[], { stdin = '', env = {}, isTty = false }: RunOptions) {
    this.stdout = new FakeSink(false)
    this.stderr = new FakeSink(isTty)
    const io: CliIo = { stdin: chunks(stdin), stdout: this.stdout, stderr: this.stderr, env, signal: this.#stop.signal }
    this.done = main(words, io).then((code) => ({ code, stdout: this.stdout.text, stderr: this.stderr.text }))
  }

  stop(why = 'SIGINT'): void {
    this.#stop.abort(why)
  }
}

async function* chunks(stdin: string | Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (typeof stdin === 'string' || stdin instanceof Uint8Array) yield Buffer.from(stdin)
  else yield* stdin
}

export class CliStage {
  readonly #closers: (() => Promise<unknown>)[] = []

  async broker(options: BrokerOptions = {}): Promise<Broker> {
    const broker = await createBroker(options)
    this.#closers.push(() => broker.close())
    return broker
  }

  start(broker: Broker | null, words: readonly string[], options: RunOptions = {}): Running {
    const brokers = broker === null ? {} : { TANDEM_BROKERS: broker.bootstrap }
    const running = new Running(words, { ...options, env: { ...brokers, ...options.env } })
    this.#closers.push(() => {
      running.stop()
      return running.done
    })
    return running
  }

  run(broker: Broker | null, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return this.start(broker, words, options).done
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close()
  }
}

export function cliStage(): CliStage {
  const stage = new CliStage()
  afterEach(() => stage.close())
  return stage
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
