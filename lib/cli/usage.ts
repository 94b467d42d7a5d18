/** A command line that cannot be understood: exit code 2, one line on stderr. Never leaves `main`. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** An integer in a range; `what` names the option. */
export function integer(what: string, text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `${min}..${max}`
  throw new UsageError(`${what}: expected an integer ${range}, got '${text}'`)
}

/** `name=value`, split at the first `=`. */
export function pair(what: string, text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  if (at <= 0) throw new UsageError(`${what}: expected name=value, got '${at < 0 ? text : text.slice(0, at + 1)}'`)
  return [text.slice(0, at), text.slice(at + 1)]
}
