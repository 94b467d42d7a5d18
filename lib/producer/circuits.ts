/**
 * The circuit breakers of a producer, one per broker (PR-19), and what counts as a failure of a broker.
 * Why connections and not requests: five requests share one socket, so one cut cable would count five times.
 * A failure is a connection that could not be made, or one that ended with requests of ours unanswered (a request that
 * is not answered in time ends its connection). What a broker answers, whatever it says, is a success.
 */
import type { CircuitBreakerSettings } from '../config/index.js'
import { MQError } from '../errors/index.js'
import { CircuitBreaker, type CircuitState, type Clock } from '../util/index.js'
import type { CircuitLevel } from './measures.js'

/** A broker's circuit changed. */
export interface CircuitEvent {
  readonly brokerId: number
  readonly from: CircuitState
  readonly to: CircuitState
}

export const CIRCUIT_LEVELS: Readonly<Record<CircuitState, CircuitLevel>> = { closed: 0, halfOpen: 1, open: 2 }

const TROUBLE = new Set(['CONNECTION_FAILED', 'CONNECTION_CLOSED', 'CONNECTION_TIMEOUT', 'TIMEOUT'])

/** One broker's breaker, as its sender uses it. */
export class BrokerCircuit {
  readonly failFast: boolean
  readonly #breaker: CircuitBreaker
  #lastLoss: unknown = null

  constructor(
    settings: CircuitBreakerSettings,
    clock: Clock,
    onChange: (from: CircuitState, to: CircuitState) => void,
  ) {
    const { failures, successes, timeoutMs, failFast } = settings
    this.failFast = failFast
    this.#breaker = new CircuitBreaker({ failures, successes, timeoutMs, clock, onChange })
  }

  get state(): CircuitState {
    return this.#breaker.state
  }

  get isOpen(): boolean {
    return this.#breaker.state === 'open'
  }

  /** One more request may leave now. */
  get mayBegin(): boolean {
    return this.#breaker.mayBegin
  }

  /** Until the broker is tried again; 0 unless open. Milliseconds. */
  get waitMs(): number {
    return this.#breaker.waitMs
  }

  begin(): number {
    return this.#breaker.begin()
  }

  answered(attempt: number): void {
    this.#breaker.succeeded(attempt)
  }

  unanswered(attempt: number, error: MQError): void {
    // All requests that were lost with one connection have the same cause: the end of that connection.
    const loss = error.cause ?? error
    if (!isTrouble(error) || loss === this.#lastLoss) return this.#breaker.abandoned(attempt)
    this.#lastLoss = loss
    this.#breaker.failed(attempt)
  }

  notConnected(error: MQError): void {
    if (isTrouble(error)) this.#breaker.failedBeforehand()
  }

  close(): void {
    this.#breaker.close()
  }
}

/** The way to the broker is at fault. A broker that is too old is not: it answered. */
function isTrouble({ code, context }: MQError): boolean {
  return TROUBLE.has(code) && context.reason !== 'UNSUPPORTED_VERSION'
}

/** The second argument is a lane: of all that it holds only the name belongs into an error. */
export function circuitOpen(brokerId: number, { topic, partition }: { topic: string; partition: number }): MQError {
  const text = `the circuit of broker ${brokerId} is open: it failed several times in a row and is left alone for circuitBreaker.timeoutMs; without failFast records would wait for it`
  return new MQError('CONNECTION_FAILED', text, {
    topic,
    partition,
    reason: 'CIRCUIT_OPEN',
    brokerId,
    persistence: 'not-persisted',
  })
}
