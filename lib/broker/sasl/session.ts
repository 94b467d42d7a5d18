/**
 * Where one connection stands with SASL: what it may send now, who it is, and until when (KIP-43, KIP-152, KIP-368).
 *
 *   start -> negotiated -> exchanging -> ready -> exchanging (again) -> ready ..
 *     ApiVersions   SaslHandshake   SaslAuthenticate   SaslHandshake
 *
 * Invariant: outside of `ready` frames are taken up one by one, because what a frame means depends on the answer before
 * it; a session that failed answers once and is closed. As in Kafka the mechanism and the name stay the same over a
 * connection's life, and authenticating again is allowed once a second, where sessions end at all.
 */
import type { Clock } from '../../util/index.js'
import type { SaslExchange, SaslStep } from './exchange.js'
import type { SaslMechanism, SaslSecurity } from './security.js'

const UNSUPPORTED_MECHANISM = 33
const ILLEGAL_SASL_STATE = 34
const AUTHENTICATION_FAILED = 58
const LEAST_BETWEEN_AGAIN_MS = 1000

type State = 'start' | 'negotiated' | 'exchanging' | 'ready' | 'failed'

export interface HandshakeAnswer {
  readonly errorCode: number
  readonly mechanisms: string[]
}

export interface AuthenticateAnswer {
  readonly errorCode: number
  readonly errorMessage: string
  readonly authBytes: Uint8Array
  readonly sessionLifetimeMs: number
}

const NOTHING: Uint8Array = new Uint8Array(0)

export class SaslSession {
  readonly #security: SaslSecurity
  readonly #clock: Clock
  #state: State = 'start'
  #exchange: SaslExchange | null = null
  #mechanism: SaslMechanism | null = null
  #isAnotherMechanism = false // asked for when authenticating again
  #hasPlainTokens = false // SaslHandshake 0: tokens travel as bare frames
  #isHandshakeWaiting = false // a SaslHandshake arrived behind requests of a ready connection
  #principal: string | null = null
  #endsAtMs: number | null = null // monotonic
  #againSinceMs: number | null = null // monotonic, of the latest attempt to authenticate again

  constructor(security: SaslSecurity, clock: Clock) {
    this.#security = security
    this.#clock = clock
  }

  /** Null before it is known. */
  get principal(): string | null {
    return this.#principal
  }

  get isReady(): boolean {
    return this.#state === 'ready'
  }

  get isFailed(): boolean {
    return this.#state === 'failed'
  }

  get takesBareTokens(): boolean {
    return this.#state === 'exchanging' && this.#hasPlainTokens
  }

  /** The next frame must wait for the answer before it. */
  get isSerial(): boolean {
    return this.#state !== 'ready' || this.#isHandshakeWaiting
  }

  /** A session past its end is closed when it asks for anything but to authenticate again. */
  isOverFor(isHandshake: boolean): boolean {
    const isPastEnd = this.isReady && this.#endsAtMs !== null && this.#clock.monotonicMs() >= this.#endsAtMs
    return isPastEnd && !(isHandshake && this.#mayBeginAgain)
  }

  handshakeArrived(): void {
    this.#isHandshakeWaiting = true
  }

  /** 0, ILLEGAL_SASL_STATE, or null: Kafka closes without an answer. */
  apiVersionsAsked(): number | null {
    if (this.#state === 'exchanging') return this.#refuse(ILLEGAL_SASL_STATE)
    return this.#state === 'negotiated' ? null : 0
  }

  apiVersionsAnswered(): void {
    if (this.#state === 'start') this.#state = 'negotiated'
  }

  handshake(mechanism: string, version: number): HandshakeAnswer {
    this.#isHandshakeWaiting = false
    if (this.isReady && !this.#mayBeginAgain) return { errorCode: ILLEGAL_SASL_STATE, mechanisms: [] }
    if (this.#state === 'exchanging') return { errorCode: this.#refuse(ILLEGAL_SASL_STATE), mechanisms: [] }
    const mechanisms = [...this.#security.mechanisms]
    if (!this.#security.offers(mechanism)) return { errorCode: this.#refuse(UNSUPPORTED_MECHANISM), mechanisms }
    if (this.isReady) this.#againSinceMs = this.#clock.monotonicMs()
    this.#isAnotherMechanism = this.#principal !== null && mechanism !== this.#mechanism
    this.#mechanism = mechanism
    this.#exchange = this.#security.begin(mechanism)
    this.#hasPlainTokens = version === 0
    this.#state = 'exchanging'
    return { errorCode: 0, mechanisms }
  }

  /** Null: closed without an answer, as Kafka does before a handshake, and when the mechanism is another one than before. */
  authenticate(token: Uint8Array): AuthenticateAnswer | null {
    // A ready connection is told so and lives on: Kafka answers this as an ordinary request.
    if (this.isReady) return answer(ILLEGAL_SASL_STATE, 'this connection is authenticated already')
    if (this.#state !== 'exchanging') return null
    if (this.#isAnotherMechanism) return null
    return this.#took((this.#exchange as SaslExchange).next(token))
  }

  /** Ordered by a fault: answered like a real failure, and closed. */
  giveUp(): void {
    this.#state = 'failed'
  }

  #took(step: SaslStep): AuthenticateAnswer {
    if (step.kind === 'challenge') return answer(0, '', step.bytes)
    if (step.kind === 'failed') return this.#fail(step.message)
    const { principal, expiresAtMs } = step.identity
    if (this.#principal !== null && this.#principal !== principal) {
      return this.#fail('a connection keeps the name it was authenticated with')
    }
    this.#principal = principal
    this.#exchange = null
    this.#state = 'ready'
    return answer(0, '', step.bytes, this.#beginSession(expiresAtMs))
  }

  /** The shorter of the token's life and the limit counts; 0 without either. */
  #beginSession(expiresAtMs: number | null): number {
    const { sessionLifetimeMs } = this.#security
    const ofToken = expiresAtMs === null ? null : Math.max(0, Math.floor(expiresAtMs - this.#clock.now()))
    const limits = [ofToken, sessionLifetimeMs > 0 ? sessionLifetimeMs : null].filter((limit) => limit !== null)
    if (limits.length === 0) {
      this.#endsAtMs = null
      return 0
    }
    const lifetimeMs = Math.min(...limits)
    this.#endsAtMs = this.#clock.monotonicMs() + lifetimeMs
    return lifetimeMs
  }

  get #mayBeginAgain(): boolean {
    if (this.#endsAtMs === null) return false
    return this.#againSinceMs === null || this.#clock.monotonicMs() - this.#againSinceMs >= LEAST_BETWEEN_AGAIN_MS
  }

  #fail(message: string | null): AuthenticateAnswer {
    this.#state = 'failed'
    const general = `${this.#mechanism} refused what the client sent`
    return answer(AUTHENTICATION_FAILED, message ?? general)
  }

  #refuse(code: number): number {
    this.#state = 'failed'
    return code
  }
}

function answer(errorCode: number, errorMessage: string, authBytes = NOTHING, lifetimeMs = 0): AuthenticateAnswer {
  return { errorCode, errorMessage, authBytes, sessionLifetimeMs: lifetimeMs }
}
