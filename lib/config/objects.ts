/**
 * Looking at objects that a caller passed.
 * Why: they may be anything, also getters and proxies that throw, lists where objects belong, and cycles.
 * Invariant: nothing here throws or changes what it looks at.
 */

/** Values of configurations nest no deeper than this. */
const COMPARE_DEPTH = 4

/** The fields of something a caller passed; undefined when reading them throws. */
export function fieldsOf(input: object): Record<string, unknown> | undefined {
  try {
    return { ...input }
  } catch {
    return undefined
  }
}

/** An object with fields of its own; lists, maps, dates and the like are none. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  try {
    return Object.prototype.toString.call(value) === '[object Object]'
  } catch {
    return false
  }
}

/** Equal by content, as far as configuration values go: primitives, functions, lists and plain objects of them. */
export function isSame(a: unknown, b: unknown, depth = 0): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || depth >= COMPARE_DEPTH) return false
  const [left, right] = [fieldsOf(a), fieldsOf(b)]
  if (left === undefined || right === undefined) return false
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every((key) => Object.hasOwn(right, key) && isSame(left[key], right[key], depth + 1))
}
