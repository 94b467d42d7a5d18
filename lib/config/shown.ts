/**
 * How a value that a caller passed appears in findings and printouts: short, copyable, and never a secret.
 * Why a copy: what was passed may hold getters, cycles, class instances, functions or whole clients; a finding must
 * survive JSON and `structuredClone`. Invariant: nothing here throws, whatever it is given.
 */
export const HIDDEN = '[hidden]'

/** Names of fields that look like secrets, wherever they stand. */
const SECRET_NAME = /pass|pwd|secret|token|credential|authenticator|^(api|private)?[-_]?key$/i
/** What this file says instead of a value: `[hidden]`, `[Registry]`. */
const MARKER = /^\[\w+\]$/
const MAX_DEPTH = 4
const MAX_ENTRIES = 100
const MAX_TEXT = 1_000

export function looksSecret(name: string): boolean {
  return SECRET_NAME.test(name)
}

/** A copy that may be shown. */
export function shown(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return shownString(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return '[function]'
  if (typeof value === 'symbol') return '[symbol]'
  if (typeof value !== 'object' || value === null) return value
  try {
    return shownObject(value, depth)
  } catch {
    return '[unreadable]'
  }
}

/** What kind of thing it is, where its content is nobody's business. */
export function kindOf(value: unknown): unknown {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return shown(value)
  if (typeof value === 'function') return '[function]'
  try {
    if (Array.isArray(value)) return '[list]'
    const name: unknown = value.constructor?.name
    return typeof name === 'string' && name !== '' ? `[${name.slice(0, MAX_ENTRIES)}]` : '[object]'
  } catch {
    return '[unreadable]'
  }
}

/** A value in the words of a message. */
export function text(value: unknown): string {
  const safe = shown(value)
  if (typeof safe === 'string') return MARKER.test(safe) ? safe : JSON.stringify(shortened(safe))
  if (Array.isArray(safe)) return `a list of ${safe.length}`
  if (typeof safe === 'object' && safe !== null) return 'an object'
  return String(safe)
}

function shownString(value: string): string {
  if (value.includes('PRIVATE KEY-----')) return HIDDEN
  const at = value.lastIndexOf('@')
  // `user:password@host`: people paste addresses as they find them.
  const plain = at > 0 && value.slice(0, at).includes(':') ? HIDDEN + value.slice(at) : value
  return plain.length > MAX_TEXT ? `${plain.slice(0, MAX_TEXT)}...` : plain
}

function shownObject(value: object, depth: number): unknown {
  if (depth >= MAX_DEPTH) return kindOf(value)
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item: unknown) => shown(item, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return kindOf(value)
  const entries = Object.entries(value).slice(0, MAX_ENTRIES)
  return Object.fromEntries(entries.map(([key, item]) => [key, looksSecret(key) ? HIDDEN : shown(item, depth + 1)]))
}

function shortened(value: string): string {
  return value.length > 60 ? `${value.slice(0, 60)}...` : value
}
