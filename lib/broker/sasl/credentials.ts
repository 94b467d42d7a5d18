/**
 * Users and passwords of the in-process broker, and what SCRAM stores of them (RFC 5802: salt, iterations, two keys).
 * Why derived late: a key costs milliseconds, and most brokers with a password never see SCRAM.
 * Invariant: a changed password forgets every key derived from the old one.
 */
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import type { RandomSource } from '../../util/index.js'
import { randomBytesOf } from './random-bytes.js'

/** Kafka's minimum, and what its tools store by default. */
export const SCRAM_ITERATIONS = 4096
const SALT_BYTES = 16

export type ScramHash = 'sha256' | 'sha512'

export interface ScramKeys {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

const KEY_BYTES: Readonly<Record<ScramHash, number>> = { sha256: 32, sha512: 64 }

export class Credentials {
  readonly #random: RandomSource
  readonly #passwords: Map<string, string>
  readonly #keys = new Map<string, ScramKeys>()

  constructor(users: Readonly<Record<string, string>>, random: RandomSource) {
    this.#passwords = new Map(Object.entries(users))
    this.#random = random
  }

  /** `null` removes the user. */
  set(user: string, password: string | null): void {
    if (password === null) this.#passwords.delete(user)
    else this.#passwords.set(user, password)
    for (const hash of Object.keys(KEY_BYTES)) this.#keys.delete(keyOf(user, hash as ScramHash))
  }

  accepts(user: string, password: string): boolean {
    const known = this.#passwords.get(user)
    return known !== undefined && isSame(digest(known), digest(password))
  }

  /** Undefined: nobody of this name. */
  scramKeys(user: string, hash: ScramHash): ScramKeys | undefined {
    const password = this.#passwords.get(user)
    if (password === undefined) return undefined
    const key = keyOf(user, hash)
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    const made = derive(password, hash, randomBytesOf(this.#random, SALT_BYTES))
    this.#keys.set(key, made)
    return made
  }
}

export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}

function derive(password: string, hash: ScramHash, salt: Buffer): ScramKeys {
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, KEY_BYTES[hash], hash)
  const clientKey = createHmac(hash, salted).update('Client Key').digest()
  return {
    salt,
    iterations: SCRAM_ITERATIONS,
    storedKey: createHash(hash).update(clientKey).digest(),
    serverKey: createHmac(hash, salted).update('Server Key').digest(),
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest()
const keyOf = (user: string, hash: ScramHash) => `${hash} ${user}`
