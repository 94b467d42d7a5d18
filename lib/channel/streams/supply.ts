/**
 * What a stream writes goes into the channel as fast as readers make room, and no faster. Hot path: `write`.
 * Why no deadline (`maxBlockMs`): a pipeline whose end is slow waits, that is its back-pressure; who will not wait for ever
 * destroys it, and a signal does.
 * Invariants: records enter in the order of the calls; a record is either taken, and its write succeeds, or not, and its
 * write fails. CH-16, CH-17.
 */
import { MQError } from '../../errors/index.js'
import type { WritableStreamOptions, WritePort } from './stream-port.js'

export class Supply<Input> {
  readonly #port: WritePort<Input>
  readonly #closes: WritableStreamOptions['closesChannel']
  readonly #stopping = new AbortController()

  constructor(port: WritePort<Input>, { closesChannel = false }: WritableStreamOptions) {
    this.#port = port
    this.#closes = closesChannel
  }

  /** Null: it is in, and there is room for more. Else settles when that is so. Throws what can never be written. */
  write(record: Input): Promise<void> | null {
    const isBelowSoft = this.#port.tryWrite(record)
    if (isBelowSoft === undefined) return this.#writeLater(record)
    return isBelowSoft || this.#port.makesRoom ? null : this.#whenReady()
  }

  /** All records were written: what is not sealed could not be read before its window ends. */
  async finish(): Promise<void> {
    this.#port.seal()
    if (this.#closes === false) return
    const options = this.#closes === true ? {} : this.#closes
    const { delivered, undelivered } = await this.#port.close(options ?? {})
    if (undelivered === 0 || options?.drain === false) return
    const text = `the channel closed with ${undelivered} records that nobody had read in time: read faster, or raise timeoutMs`
    throw new MQError('TIMEOUT', text, { delivered, undelivered })
  }

  /** Ends every wait: what has no room yet is not written, and its write fails with `reason`. */
  stop(reason: unknown): void {
    this.#stopping.abort(reason)
  }

  async #writeLater(record: Input): Promise<void> {
    const { signal } = this.#stopping
    const isBelowSoft = await this.#port.writeAsync(record, { signal, timeoutMs: Number.POSITIVE_INFINITY })
    if (!isBelowSoft && !this.#port.makesRoom) await this.#whenReady()
  }

  async #whenReady(): Promise<void> {
    this.#port.seal() // As a writer that waits for room: what is not sealed could never be read and make room.
    try {
      await this.#port.ready({ signal: this.#stopping.signal })
    } catch {
      // Stopped, or the channel was closed. This record is in: only the next write has something to complain about.
    }
  }
}

/** The stream was destroyed without an error of its own while a write waited. */
export function notWritten(): MQError {
  const text = 'the stream was destroyed before the channel had room: this record was not written'
  return new MQError('PRODUCER_CLOSED', text)
}
