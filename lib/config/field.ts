/**
 * What one configuration field is: default, range, aliases, as data.
 * Why: merge, check, messages and tests walk the same rows, so a field cannot be merged but not checked.
 * Invariant: `normalise` is called only for values that `accepts` has taken. Source: features.md part 3.
 */

/** Another name of a field, as a full path in its scope; a value divided by `divisor` has the field's unit. */
export interface Alias {
  readonly path: string
  readonly divisor: number
}

export interface FieldSpec {
  readonly default: unknown
  readonly aliases: readonly Alias[]
  /** What a legal value is, for messages: 'an integer 1..5'. */
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
  readonly normalise: (value: unknown) => unknown
  /** What findings and printouts may say of a value: itself, only what kind of thing it is, or nothing. */
  readonly shows: 'value' | 'kind' | 'nothing'
}

/** Rows of a scope by path ('connection.dialTimeoutMs', 'monitoring.alerts.latencyMs'). */
export type FieldTable = Readonly<Record<string, FieldSpec>>

/** Largest number of a Kafka int32 field. */
export const INT32_MAX = 2_147_483_647

const same = (value: unknown) => value

/** An integer in an inclusive range. */
export function int(fallback: number | undefined, min: number, max: number, ...aliases: string[]): FieldSpec {
  return {
    default: fallback,
    aliases: aliases.map(plainAlias),
    expected: `an integer ${min}..${max}`,
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    normalise: same,
    shows: 'value',
  }
}

/** A finite number, fractions included, in an inclusive range. */
export function real(fallback: number | undefined, min: number, max: number): FieldSpec {
  return {
    default: fallback,
    aliases: [],
    expected: min === Number.MIN_VALUE ? `a number above 0 and up to ${max}` : `a number ${min}..${max}`,
    accepts: (value) => typeof value === 'number' && value >= min && value <= max,
    normalise: same,
    shows: 'value',
  }
}

export function bool(fallback: boolean | undefined, ...aliases: string[]): FieldSpec {
  return {
    default: fallback,
    aliases: aliases.map(plainAlias),
    expected: 'true or false',
    accepts: (value) => typeof value === 'boolean',
    normalise: same,
    shows: 'value',
  }
}

/** A text of 1..249 characters. */
export function name(fallback: string | undefined, ...aliases: string[]): FieldSpec {
  return {
    default: fallback,
    aliases: aliases.map(plainAlias),
    expected: 'a text of 1..249 characters',
    accepts: (value) => typeof value === 'string' && value.length >= 1 && value.length <= 249,
    normalise: same,
    shows: 'value',
  }
}

/** Any text that is not empty. */
export function anyText(): FieldSpec {
  return custom(undefined, 'a text that is not empty', (value) => typeof value === 'string' && value.length > 0)
}

/** A path of a PEM file. Whoever gives the text instead would read it, perhaps a key, in the complaint about that file. */
export function pemFile(textField: string): FieldSpec {
  const expected = `a path of a file; a PEM text belongs into ${textField}`
  const accepts = (value: unknown) => typeof value === 'string' && value.length > 0 && !value.includes('-----BEGIN')
  return custom(undefined, expected, accepts)
}

/** The row, whose value is never shown. */
export function secret(spec: FieldSpec = anyText()): FieldSpec {
  return { ...spec, shows: 'nothing' }
}

/** One of a closed list of words. */
export function oneOf(fallback: string | undefined, values: readonly string[], ...aliases: string[]): FieldSpec {
  return {
    default: fallback,
    aliases: aliases.map(plainAlias),
    expected: `one of ${values.map((value) => `'${value}'`).join(', ')}`,
    accepts: (value) => values.includes(value as string),
    normalise: same,
    shows: 'value',
  }
}

/** One of a closed list of words, or a function. */
export function oneOfOrFunction(fallback: string, values: readonly string[]): FieldSpec {
  const words = oneOf(fallback, values)
  return {
    ...words,
    expected: `${words.expected}, or a function`,
    accepts: (value) => typeof value === 'function' || words.accepts(value),
  }
}

/** An object that has the named methods. */
export function withMethods(fallback: unknown, ...methods: string[]): FieldSpec {
  const expected = `an object with ${methods.map((method) => `${method}()`).join(', ')}`
  const accepts = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return false
    return methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
  }
  return { ...custom(fallback, expected, accepts), shows: 'kind' }
}

export function custom(
  fallback: unknown,
  expected: string,
  accepts: (value: unknown) => boolean,
  normalise: (value: unknown) => unknown = same,
  ...aliases: string[]
): FieldSpec {
  return { default: fallback, aliases: aliases.map(plainAlias), expected, accepts, normalise, shows: 'value' }
}

/** The row that also takes null, which switches off. */
export function orNull(spec: FieldSpec): FieldSpec {
  return {
    ...spec,
    expected: `${spec.expected}, or null = off`,
    accepts: (value) => value === null || spec.accepts(value),
  }
}

/** An alias of a field in a group: people write it inside the group and, as in flat configurations, beside it. */
export function grouped(group: string, alias: string): readonly string[] {
  return [alias, `${group}.${alias}`]
}

/** The row with further aliases whose number is in another unit. */
export function scaledAlias(spec: FieldSpec, divisor: number, ...aliases: string[]): FieldSpec {
  return { ...spec, aliases: [...spec.aliases, ...aliases.map((path) => ({ path, divisor }))] }
}

function plainAlias(path: string): Alias {
  return { path, divisor: 1 }
}
