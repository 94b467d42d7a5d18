/**
 * A real Kafka with secure listeners, of our own: `scripts/kafka up 1 --secure`.
 * Invariant: certificates, user and password are those of this cluster and go with it; `close` ends it.
 */
import { readFileSync, rmSync } from 'node:fs'
import type { ClientConfig } from '../../lib/index.js'
import { kafka, kafkaMeanwhile, newStateFolder } from './interop-setup.js'

type Sasl = NonNullable<ClientConfig['sasl']>

export class SecureKafka {
  readonly #stateFolder: string
  readonly #lines: ReadonlyMap<string, string>

  private constructor(stateFolder: string) {
    this.#stateFolder = stateFolder
    const lines = kafka(['env'], stateFolder).trim().split('\n')
    this.#lines = new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
  }

  /** Takes about 15 s. */
  static async start(): Promise<SecureKafka> {
    const stateFolder = newStateFolder()
    try {
      await kafkaMeanwhile(['up', '1', '--secure'], stateFolder)
      return new SecureKafka(stateFolder)
    } catch (error) {
      await kafkaMeanwhile(['down'], stateFolder)
      throw error
    }
  }

  async close(): Promise<void> {
    await kafkaMeanwhile(['down'], this.#stateFolder)
    rmSync(this.#stateFolder, { recursive: true, force: true })
  }

  /** A line of `scripts/kafka env`, without KAFKA_. */
  value(name: string): string {
    const found = this.#lines.get(`KAFKA_${name}`)
    if (found === undefined) throw new Error(`scripts/kafka env prints no KAFKA_${name}`)
    return found
  }

  /** For files of a test; removed by `close`. */
  get folder(): string {
    return this.#stateFolder
  }

  get plaintext(): string {
    return this.value('BROKERS')
  }

  get user(): string {
    return this.value('SASL_USERNAME')
  }

  get password(): string {
    return this.value('SASL_PASSWORD')
  }

  get ca(): string {
    return readFileSync(this.value('CA_FILE'), 'utf8')
  }

  /** TLS settings of a client, by files as users give them. */
  get ssl() {
    return { caFile: this.value('CA_FILE') }
  }

  get mutualSsl() {
    return { ...this.ssl, certFile: this.value('CLIENT_CERT_FILE'), keyFile: this.value('CLIENT_KEY_FILE') }
  }

  sasl(mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512', password = this.password): Sasl {
    return { mechanism, username: this.user, password }
  }
}
