/**
 * SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), the server's side, with the rules of Kafka's.
 *
 *   client  n,,n=user,r=<client nonce>
 *   server  r=<client nonce><server nonce>,s=<salt>,i=<iterations>
 *   client  c=biws,r=<both nonces>,p=<proof>
 *   server  v=<signature>: it knows the keys too
 *
 * Invariant: a message out of turn or out of form fails; nothing that came is quoted.
 */
import { createHash, createHmac } from 'node:crypto'
import type { RandomSource } from '../../util/index.js'
import { type Credentials, isSame, type ScramHash, type ScramKeys } from './credentials.js'
import { challenge, done, failed, type SaslExchange, type SaslStep } from './exchange.js'
import { randomBytesOf } from './random-bytes.js'

const NONCE_BYTES = 24
/** Header (authorization id), then name and nonce; Kafka knows no channel binding, and one extension that is not ours. */
const CLIENT_FIRST = /^(n,(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/
const CLIENT_FINAL = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)),p=([A-Za-z0-9+/=]+)$/

interface Begun {
  readonly user: string
  readonly keys: ScramKeys
  readonly header: string
  readonly nonce: string
  /** Both first messages, the beginning of what is signed. */
  readonly firstMessages: string
}

export class ScramExchange implements SaslExchange {
  readonly #credentials: Credentials
  readonly #hash: ScramHash
  readonly #random: RandomSource
  #begun: Begun | null = null

  constructor(credentials: Credentials, hash: ScramHash, random: RandomSource) {
    this.#credentials = credentials
    this.#hash = hash
    this.#random = random
  }

  next(message: Uint8Array): SaslStep {
    const text = Buffer.from(message).toString('utf8')
    return this.#begun === null ? this.#first(text) : this.#final(text, this.#begun)
  }

  #first(text: string): SaslStep {
    const [, header, authorizationId, bare, name, clientNonce] = CLIENT_FIRST.exec(text) ?? []
    if (header === undefined || name === undefined || bare === undefined) return failed()
    const user = unescaped(name)
    const keys = this.#credentials.scramKeys(user, this.#hash)
    if (keys === undefined) return failed()
    if (authorizationId !== undefined && authorizationId !== '' && unescaped(authorizationId) !== user) return failed()
    const nonce = `${clientNonce}${randomBytesOf(this.#random, NONCE_BYTES).toString('base64url')}`
    const answer = `r=${nonce},s=${keys.salt.toString('base64')},i=${keys.iterations}`
    this.#begun = { user, keys, header, nonce, firstMessages: `${bare},${answer}` }
    return challenge(answer)
  }

  #final(text: string, { user, keys, header, nonce, firstMessages }: Begun): SaslStep {
    const [, withoutProof, binding, gotNonce, proof] = CLIENT_FINAL.exec(text) ?? []
    if (withoutProof === undefined || binding === undefined || proof === undefined) return failed()
    if (gotNonce !== nonce || Buffer.from(binding, 'base64').toString() !== header) return failed()
    const signed = `${firstMessages},${withoutProof}`
    if (!this.#isProof(Buffer.from(proof, 'base64'), keys, signed)) return failed()
    return done(user, `v=${createHmac(this.#hash, keys.serverKey).update(signed).digest('base64')}`)
  }

  /** The proof hides the client's key under a signature that only the stored key can lift. */
  #isProof(proof: Buffer, { storedKey }: ScramKeys, signed: string): boolean {
    const signature = createHmac(this.#hash, storedKey).update(signed).digest()
    if (proof.length !== signature.length) return false
    const clientKey = proof.map((byte, index) => byte ^ (signature[index] as number))
    return isSame(createHash(this.#hash).update(clientKey).digest(), storedKey)
  }
}

const unescaped = (name: string) => name.replaceAll('=2C', ',').replaceAll('=3D', '=')
