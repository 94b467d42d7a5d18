/**
 * The errors of authentication, in one place.
 * Invariant: no text and no context holds a password, a token or a key; what brokers and users' functions say is
 * shortened, freed of control characters and of the secrets we know before it is shown (features.md CL-6).
 */
import { findMQError, MQError, type MQErrorOptions } from '../../errors/index.js'

/** Longest foreign text in an error. */
const SHOWN_CHARACTERS = 300

export function refused(mechanism: string, text: string, context = {}, options: MQErrorOptions = {}): MQError {
  return new MQError('AUTHENTICATION_FAILED', `SASL ${mechanism}: ${text}`, { mechanism, ...context }, options)
}

/** Foreign words, fit to be shown. */
export function shown(text: string, secrets: readonly string[] = []): string {
  let safe = text
  for (const form of secrets.flatMap(formsOf)) if (form.length > 0) safe = safe.replaceAll(form, '[hidden]')
  safe = safe.replace(/\p{C}+/gu, ' ').trim()
  return safe.length > SHOWN_CHARACTERS ? `${safe.slice(0, SHOWN_CHARACTERS)}...` : safe
}

/** A secret as it is, and as a broker may have written it down: its logs and answers are made by programs, too. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const hex = bytes.toString('hex')
  return [
    secret,
    bytes.toString('base64'),
    bytes.toString('base64url'),
    hex,
    hex.toUpperCase(),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ]
}

/**
 * A function of the user failed. Not fatal: whoever issues tokens may be back in a moment. Its error is not carried
 * along as it is, because libraries hang requests with their secrets on it; only its words are.
 */
export function functionFailed(mechanism: string, name: string, error: unknown): MQError {
  const known = findMQError(error)
  const words = error instanceof Error ? error.message : String(error)
  const fatal = known?.fatal ?? false
  return refused(mechanism, `${name} failed: ${shown(words)}`, {}, { fatal, retryable: !fatal })
}
