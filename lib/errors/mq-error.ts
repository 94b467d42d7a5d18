/**
 * The one error type that leaves this library.
 * Why: a caller needs a code to switch on, a verdict (retry or give up) and the numbers, not a text to parse.
 * Invariant: `retryable` and `fatal` are never both true.
 */
import { type ErrorCode, type ErrorFamily, type ErrorReason, familyOf, isErrorCode, verdictOf } from './codes.js'
import { plain } from './plain.js'

/** May the record be in the log although it failed? `not-persisted` is a promise, the other is a doubt. */
export type Persistence = 'not-persisted' | 'possibly-persisted'

/** The numbers behind an error. Any further key is allowed; values should survive JSON. */
export interface ErrorContext {
  readonly reason?: ErrorReason
  readonly topic?: string
  readonly partition?: number
  /** Broker's error number and its name in Kafka. */
  readonly kafkaCode?: number
  readonly kafkaName?: string
  readonly persistence?: Persistence
  readonly [key: string]: unknown
}

export interface MQErrorOptions {
  readonly cause?: unknown
  /** Overrides the verdict of the code, for example by a broker's answer. */
  readonly retryable?: boolean
  readonly fatal?: boolean
}

/**
 * Every throw and rejection of tandem-mq. `code` is one of 31 (see `ERROR_CODES`), `context.reason` is the finer word.
 *
 * ```ts
 * try { await producer.sendSync('orders', value) } catch (error) {
 *   if (error instanceof MQError && error.is('MESSAGE_TOO_LARGE')) split(value)
 * }
 * ```
 */
export class MQError extends Error {
  override readonly name = 'MQError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly fatal: boolean
  readonly context: ErrorContext

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}, options: MQErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const verdict = verdictOf(code)
    this.code = code
    this.context = context
    this.fatal = options.fatal ?? verdict === 'fatal'
    this.retryable =
      !this.fatal &&
      (options.retryable ?? (verdict === 'retryable' || (verdict === 'cause' && isRetryableError(options.cause))))
  }

  get family(): ErrorFamily {
    return familyOf(this.code)
  }

  is(code: ErrorCode): boolean {
    return this.code === code
  }

  /** A copy with one more number in its context; the original stays as it is. */
  withContext(key: string, value: unknown): MQError {
    return this.with({ [key]: value })
  }

  /** A copy with further context; the original stays as it is. */
  with(more: ErrorContext): MQError {
    const copy = new MQError(this.code, this.message, { ...this.context, ...more }, this.#options())
    if (this.stack !== undefined) copy.stack = this.stack
    return copy
  }

  override toString(): string {
    const cause = this.cause === undefined ? '' : `: ${describe(this.cause)}`
    return `[${this.code}] ${this.message}${cause}`
  }

  /** A plain object that survives JSON and `structuredClone`. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, context, retryable, fatal, family } = this
    const cause = this.cause === undefined ? undefined : describe(this.cause)
    return { name, code, message, context: plainOf(context), retryable, fatal, family, cause }
  }

  #options(): MQErrorOptions {
    return { cause: this.cause, retryable: this.retryable, fatal: this.fatal }
  }
}

export function newMQError(code: ErrorCode, message: string, cause?: unknown): MQError {
  return new MQError(code, message, {}, { cause })
}

/** The first MQError in the cause chain of anything, or undefined. */
export function findMQError(error: unknown): MQError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 16; at = at.cause, depth++) {
    if (at instanceof MQError) return at
  }
  return undefined
}

export function isRetryableError(error: unknown): boolean {
  return findMQError(error)?.retryable ?? false
}

export function isFatalError(error: unknown): boolean {
  return findMQError(error)?.fatal ?? false
}

export function isFamily(error: unknown, family: ErrorFamily): boolean {
  return findMQError(error)?.family === family
}

/** Anything that was thrown, as an MQError: itself when it is (or wraps) one, else wrapped under `code`. */
export function toMQError(error: unknown, code: ErrorCode, message: string, context: ErrorContext = {}): MQError {
  const known = findMQError(error)
  if (known !== undefined && isErrorCode(known.code)) return known
  return new MQError(code, `${message}: ${describe(error)}`, context, { cause: error })
}

function describe(value: unknown): string {
  if (value instanceof MQError) return value.toString()
  if (value instanceof Error) return value.message
  return String(value)
}

/** Errors of ours as what they say of themselves, others as their message. */
function plainOf(context: ErrorContext): unknown {
  return plain(context, (error) => (error instanceof MQError ? error.toJSON() : error.message))
}
