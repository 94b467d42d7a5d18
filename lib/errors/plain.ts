/**
 * Anything as plain data that JSON and `structuredClone` take.
 * Why: an error is logged and sent to other threads by people who do not look into its context first, and there a bigint,
 * a function or a circle would throw in place of telling what went wrong.
 * Invariant: never throws, and never goes deeper than `MOST_LEVELS`.
 */

/** Contexts are flat; beyond this somebody has put a living object into one. */
const MOST_LEVELS = 6

type SayError = (error: Error) => unknown

export function plain(value: unknown, sayError: SayError): unknown {
  return plainAt(value, sayError, [])
}

function plainAt(value: unknown, sayError: SayError, above: readonly object[]): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'function') return '[function]'
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object' || value === null) return value
  if (above.includes(value)) return '[circular]'
  if (above.length >= MOST_LEVELS) return '[deeper]'
  try {
    return plainObject(value, sayError, [...above, value])
  } catch {
    return '[unreadable]' // A getter of somebody else's object threw: what it holds is not ours to tell.
  }
}

function plainObject(value: object, sayError: SayError, above: readonly object[]): unknown {
  const inner = (one: unknown) => plainAt(one, sayError, above)
  const { toJSON } = value as { toJSON?: unknown }
  if (value instanceof Error) return inner(sayError(value))
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  // What it says of itself comes first: a resolved configuration hides its secrets that way.
  if (typeof toJSON === 'function') return inner(toJSON.call(value))
  if (Array.isArray(value) || value instanceof Set) return [...value].map(inner)
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  return Object.fromEntries(entries.map(([key, one]) => [String(key), inner(one)]))
}
