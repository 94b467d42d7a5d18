/**
 * The server's side of one authentication: messages of the client in, challenges and a verdict out.
 * Why values and no exceptions: a wrong password is an expected outcome. `message` of a failure goes to the client, so it
 * never says which of name and password was wrong, and quotes nothing that came.
 */

export type SaslStep =
  | { readonly kind: 'challenge'; readonly bytes: Uint8Array }
  | { readonly kind: 'done'; readonly bytes: Uint8Array; readonly identity: Identity }
  | { readonly kind: 'failed'; readonly message: string | null }

export interface Identity {
  readonly principal: string
  /** End of what proved it, wall time; null: it does not end. */
  readonly expiresAtMs: number | null
}

export interface SaslExchange {
  next(message: Uint8Array): SaslStep
}

export const NO_BYTES = new Uint8Array(0)

export function challenge(text: string): SaslStep {
  return { kind: 'challenge', bytes: Buffer.from(text) }
}

export function done(principal: string, text = '', expiresAtMs: number | null = null): SaslStep {
  return { kind: 'done', bytes: text === '' ? NO_BYTES : Buffer.from(text), identity: { principal, expiresAtMs } }
}

/** Null: the general text, as Kafka gives it for messages that do not follow the mechanism. */
export function failed(message: string | null = null): SaslStep {
  return { kind: 'failed', message }
}
