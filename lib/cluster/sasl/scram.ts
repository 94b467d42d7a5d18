/**
 * SCRAM-SHA-256 and SCRAM-SHA-512: both sides prove that they know the password, neither sends it.
 * Why the server's signature counts as much as our proof: a server that does not know the password must not get a
 * single record. Invariant: `next` ends with undefined only after that signature was right.
 * Why the keys are kept: a client opens some connections to each broker, all with the same salt, and deriving costs
 * milliseconds of a processor by design. Source: RFC 5802, RFC 7677.
 */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { SaslExchange, SaslMechanism } from './mechanism.js'
import { checkPrepared } from './prepared-text.js'
import { refused, shown } from './refusals.js'
import { escapedName, parseServerFinal, parseServerFirst, type ServerFirst } from './scram-messages.js'

export type ScramHash = 'sha256' | 'sha512'

const HASH_BYTES: Readonly<Record<ScramHash, number>> = { sha256: 32, sha512: 64 }
const NONCE_BYTES = 24
/** Neither channel binding nor another identity to act as, in the message and as base64. */
const HEADER = 'n,,'
const HEADER_BASE64 = 'biws'

const derive = promisify(pbkdf2)
const freshNonce = () => randomBytes(NONCE_BYTES).toString('base64')

interface Keys {
  readonly clientKey: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

export class Scram implements SaslMechanism {
  readonly name: string
  readonly #hash: ScramHash
  readonly #username: string
  readonly #password: string
  readonly #nonce: () => string
  #keys: { readonly id: string; readonly keys: Promise<Keys> } | null = null

  /** `nonce` is an argument for vectors; it must be printable, without a comma and never the same twice. */
  constructor(hash: ScramHash, username: string, password: string, nonce: () => string = freshNonce) {
    checkPrepared('sasl.username', username)
    checkPrepared('sasl.password', password)
    this.name = hash === 'sha256' ? 'SCRAM-SHA-256' : 'SCRAM-SHA-512'
    this.#hash = hash
    this.#username = username
    this.#password = password
    this.#nonce = nonce
  }

  begin(): SaslExchange {
    return new ScramExchange(this, `n=${escapedName(this.#username)}`, this.#nonce(), [this.#password])
  }

  /** Shared by all who meet the same salt: the work is done once. */
  keysFor({ salt, iterations }: ServerFirst): Promise<Keys> {
    const id = `${iterations} ${salt.toString('base64')}`
    if (this.#keys?.id !== id) this.#keys = { id, keys: this.#derive(salt, iterations) }
    return this.#keys.keys
  }

  hmac(key: Buffer, text: string): Buffer {
    return createHmac(this.#hash, key).update(text).digest()
  }

  async #derive(salt: Buffer, iterations: number): Promise<Keys> {
    const password = Buffer.from(this.#password)
    const salted = await derive(password, salt, iterations, HASH_BYTES[this.#hash], this.#hash)
    const clientKey = this.hmac(salted, 'Client Key')
    const storedKey = createHash(this.#hash).update(clientKey).digest()
    return { clientKey, storedKey, serverKey: this.hmac(salted, 'Server Key') }
  }
}

class ScramExchange implements SaslExchange {
  readonly secrets: readonly string[]
  readonly refusal = null
  readonly #mechanism: Scram
  readonly #clientNonce: string
  readonly #clientFirst: string // without its header
  #step: 'first' | 'proof' | 'verify' | 'done' = 'first'
  #signature: Buffer | null = null // the one that only who knows the password can make

  constructor(mechanism: Scram, name: string, nonce: string, secrets: readonly string[]) {
    this.#mechanism = mechanism
    this.#clientNonce = nonce
    this.#clientFirst = `${name},r=${nonce}`
    this.secrets = secrets
  }

  next(challenge: Uint8Array): Promise<Uint8Array> | Uint8Array | undefined {
    switch (this.#step) {
      case 'first':
        this.#step = 'proof'
        return Buffer.from(HEADER + this.#clientFirst)
      case 'proof':
        this.#step = 'verify'
        return this.#prove(challenge)
      case 'verify':
        this.#step = 'done'
        this.#verify(challenge)
        return undefined
      case 'done':
        return undefined
    }
  }

  end(): void {}

  async #prove(challenge: Uint8Array): Promise<Uint8Array> {
    const first = parseServerFirst(challenge, this.#clientNonce)
    if (typeof first === 'string') throw this.#refused(first)
    const { clientKey, storedKey, serverKey } = await this.#mechanism.keysFor(first)
    const withoutProof = `c=${HEADER_BASE64},r=${first.nonce}`
    const signed = `${this.#clientFirst},${first.text},${withoutProof}`
    const proof = this.#mechanism.hmac(storedKey, signed)
    for (let index = 0; index < proof.length; index++) {
      proof[index] = (proof[index] as number) ^ (clientKey[index] as number)
    }
    this.#signature = this.#mechanism.hmac(serverKey, signed)
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }

  #verify(challenge: Uint8Array): void {
    const theirs = parseServerFinal(challenge)
    if (typeof theirs === 'string') throw this.#refused(theirs)
    const ours = this.#signature as Buffer
    if (theirs.length === ours.length && timingSafeEqual(theirs, ours)) return
    throw this.#refused('sent a wrong signature: it does not know this password, it is not the broker it claims to be')
  }

  #refused(what: string) {
    return refused(this.#mechanism.name, `the broker ${shown(what, this.secrets)}`)
  }
}
