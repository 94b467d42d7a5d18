/**
 * Fetches producer ids: lazily, one request for all who wait, retried until it succeeds or is refused for good (P-38).
 */
import type { Cluster } from '../cluster/index.js'
import { findMQError, MQError } from '../errors/index.js'
import { brokerError, InitProducerId, kafkaError } from '../protocol/index.js'
import { backoffMs, type Pauses, type RandomSource } from '../util/index.js'

const CLUSTER_AUTHORIZATION_FAILED = 31

export class IdentitySource {
  readonly #cluster: Cluster
  readonly #pauses: Pauses
  readonly #random: RandomSource
  readonly #onFatal: (error: MQError) => void
  #pending: Promise<bigint> | null = null

  constructor(cluster: Cluster, pauses: Pauses, random: RandomSource, onFatal: (error: MQError) => void) {
    this.#cluster = cluster
    this.#pauses = pauses
    this.#random = random
    this.#onFatal = onFatal
  }

  /** A producer id that nobody else has. Rejects only after the end of the producer or a fatal refusal. */
  fetch(): Promise<bigint> {
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = null
    })
    return this.#pending
  }

  async #fetch(): Promise<bigint> {
    for (let attempt = 0; !this.#pauses.isStopped; attempt++) {
      const id = await this.#ask()
      if (id !== null) return id
      await this.#pauses.wait(backoffMs(attempt, 50, 1000, this.#random))
    }
    throw new MQError('PRODUCER_CLOSED', 'the producer was closed while it asked for a producer id')
  }

  async #ask(): Promise<bigint | null> {
    try {
      const answer = await this.#cluster.request(
        InitProducerId,
        { transactionalId: null, transactionTimeoutMs: 60_000 },
        {},
      )
      if (answer.errorCode === 0) return answer.producerId
      if (kafkaError(answer.errorCode).kind !== 'fatal') return null
      throw refused(answer.errorCode)
    } catch (error) {
      const known = findMQError(error)
      if (known === undefined || known.retryable || known.code === 'CONNECTION_CLOSED') return null
      // Credentials may be good again when the next record comes: the producer lives on, what waits is told.
      if (!known.is('AUTHENTICATION_FAILED')) this.#onFatal(known)
      throw known
    }
  }
}

function refused(errorCode: number): MQError {
  const hint =
    errorCode === CLUSTER_AUTHORIZATION_FAILED
      ? 'the idempotent producer needs IDEMPOTENT_WRITE on the cluster, or WRITE on a topic since Kafka 2.8'
      : null
  const error = brokerError(errorCode, 'PRODUCE_FAILED', hint, { api: 'InitProducerId' })
  return new MQError(error.code, error.message, error.context, { fatal: true })
}
