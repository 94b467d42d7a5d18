/** A scripted broker that speaks SASL, and the numbers of RFC examples. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { inspect } from 'node:util'
import { expect } from 'vitest'
import type { Authenticate, ClusterOptions } from '../../../lib/cluster/index.js'
import { authenticateBy } from '../../../lib/cluster/sasl/exchange.js'
import type { SaslMechanism } from '../../../lib/cluster/sasl/mechanism.js'
import { MQError } from '../../../lib/errors/index.js'
import { SaslAuthenticate, SaslHandshake } from '../../../lib/protocol/index.js'
import type { ScriptedBroker } from '../scripted-broker.js'
import { type Scene, scene } from '../support.js'

/** What the broker answers to one message of the client. */
export interface Reply {
  readonly bytes?: Uint8Array | string
  readonly errorCode?: number
  readonly errorMessage?: string | null
  readonly sessionLifetimeMs?: number
}

export interface SaslScript {
  readonly mechanisms?: readonly string[]
  /** Called for each message; undefined: the broker hangs up instead of answering. */
  answer(message: Buffer, round: number): Reply | undefined
}

/** Brokers that answer each authentication by a new script. */
export function speakSasl(broker: ScriptedBroker, begin: () => SaslScript): void {
  const scripts = new Map<object, { script: SaslScript; round: number }>()
  broker.on(SaslHandshake, (request) => {
    const script = begin()
    const { mechanisms = [request.body.mechanism] } = script
    scripts.set(request.transport, { script, round: 0 })
    request.reply({ errorCode: mechanisms.includes(request.body.mechanism) ? 0 : 33, mechanisms: [...mechanisms] })
  })
  broker.on(SaslAuthenticate, (request) => {
    const talk = scripts.get(request.transport)
    if (talk === undefined) return request.reply({ errorCode: 34, errorMessage: 'no handshake', authBytes: NONE })
    const reply = talk.script.answer(Buffer.from(request.body.authBytes), talk.round++)
    if (reply === undefined) return request.transport.destroy(hungUp())
    const { bytes = NONE, errorCode = 0, errorMessage = null, sessionLifetimeMs = 0 } = reply
    request.reply({ errorCode, errorMessage, authBytes: Buffer.from(bytes as Uint8Array), sessionLifetimeMs })
  })
}

export function securedScene(
  mechanism: SaslMechanism | Authenticate,
  begin: () => SaslScript,
  options: Partial<ClusterOptions> = {},
): Scene {
  const authenticate = typeof mechanism === 'function' ? mechanism : authenticateBy(mechanism)
  const made = scene(1, { maxRetries: 0, ...options, authenticate })
  for (const broker of made.brokers) speakSasl(broker, begin)
  return made
}

/** A broker that knows the password, as RFC 5802 wants it; each part can be spoilt. */
export function scramBroker(
  hash: 'sha256' | 'sha512',
  password: string,
  spoil: {
    first?: (text: string) => string | Uint8Array
    final?: (text: string) => string | Uint8Array
    iterations?: number
    lifetimeMs?: number
  } = {},
): SaslScript {
  const salt = Buffer.from('a salt of no fame')
  const iterations = spoil.iterations ?? 4096
  let clientFirst = ''
  let serverFirst = ''
  const hmac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  return {
    answer(message, round) {
      const text = message.toString('utf8')
      if (round === 0) {
        clientFirst = text.slice(3)
        const nonce = /r=(.*)$/.exec(text)?.[1] ?? ''
        serverFirst = `r=${nonce}theirs,s=${salt.toString('base64')},i=${iterations}`
        return { bytes: spoil.first?.(serverFirst) ?? serverFirst }
      }
      const [, withoutProof = '', proof = ''] = /^(.*),p=(.*)$/.exec(text) ?? []
      const salted = pbkdf2Sync(password, salt, iterations, hash === 'sha256' ? 32 : 64, hash)
      const signed = `${clientFirst},${serverFirst},${withoutProof}`
      const clientKey = hmac(salted, 'Client Key')
      const stored = createHash(hash).update(clientKey).digest()
      const expected = hmac(stored, signed).map((byte, index) => byte ^ (clientKey[index] as number))
      if (!Buffer.from(proof, 'base64').equals(Buffer.from(expected))) {
        return { errorCode: 58, errorMessage: 'Authentication failed during authentication due to invalid credentials' }
      }
      const final = `v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`
      return { bytes: spoil.final?.(final) ?? final, sessionLifetimeMs: spoil.lifetimeMs ?? 0 }
    },
  }
}

/** Everything that can be printed of an error, causes included. */
export function printed(error: unknown): string {
  return [inspect(error, { depth: 20, showHidden: true }), JSON.stringify(error), String(error)].join('\n')
}

export function expectHidden(error: unknown, ...secrets: string[]): void {
  const text = printed(error)
  for (const secret of secrets) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(Buffer.from(secret).toString('base64'))
  }
}

const NONE = new Uint8Array(0)

function hungUp() {
  return new MQError('CONNECTION_CLOSED', 'hung up')
}
