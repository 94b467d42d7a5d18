/** Largest number of a partition, and of partitions: an int32 of Kafka's protocol. */
export const MAX_PARTITION = 0x7fff_ffff

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

/** The partitions of `-p`: '0' or '0,2,5'. */
export function partitionList(text: string): number[] {
  return text.split(',').map((one) => integer('-p', one.trim(), 0, MAX_PARTITION))
}

/** `name=value`, split at the first `=`. */
export function pair(what: string, text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  if (at <= 0) throw new UsageError(`${what}: expected name=value, got '${at < 0 ? text : text.slice(0, at + 1)}'`)
  return [text.slice(0, at), text.slice(at + 1)]
}
