/**
 * What one configuration field is: default, range, aliases, as data.
 * Why: merge, check, messages and tests walk the same rows, so a field cannot be merged but not checked.
 * Invariant: `normalise` is called only for values that `accepts` has taken. Source: features.md part 3.
 */

/** Another name of a field, as a full path in its scope; `scale` turns its unit into the field's. */
export interface Alias {
  readonly path: string
  readonly scale: number
}

export interface FieldSpec {
  readonly default: unknown
  readonly aliases: readonly Alias[]
  /** What a legal value is, for messages: 'an integer 1..5'. */
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
  readonly normalise: (value: unknown) => unknown
}

/** Rows of a scope by path ('connection.dialTimeoutMs'). */
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
  }
}

export function bool(fallback: boolean | undefined, ...aliases: string[]): FieldSpec {
  return {
    default: fallback,
    aliases: aliases.map(plainAlias),
    expected: 'true or false',
    accepts: (value) => typeof value === 'boolean',
    normalise: same,
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
  }
}

/** Any text that is not empty. */
export function secret(): FieldSpec {
  return custom(undefined, 'a text that is not empty', (value) => typeof value === 'string' && value.length > 0)
}

/** One of a closed list of words. */
export function oneOf(fallback: string | undefined, values: readonly string[], ...aliases: string[]): FieldSpec {
  return {
    default: fallback,
    aliases: aliases.map(plainAlias),
    expected: `one of ${values.map((value) => `'${value}'`).join(', ')}`,
    accepts: (value) => values.includes(value as string),
    normalise: same,
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
  return custom(fallback, `an object with ${methods.map((method) => `${method}()`).join(', ')}`, (value) => {
    if (typeof value !== 'object' || value === null) return false
    return methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
  })
}

export function custom(
  fallback: unknown,
  expected: string,
  accepts: (value: unknown) => boolean,
  normalise: (value: unknown) => unknown = same,
  ...aliases: string[]
): FieldSpec {
  return { default: fallback, aliases: aliases.map(plainAlias), expected, accepts, normalise }
}

/** The row with one more alias whose number is in another unit. */
export function scaledAlias(spec: FieldSpec, path: string, scale: number): FieldSpec {
  return { ...spec, aliases: [...spec.aliases, { path, scale }] }
}

function plainAlias(path: string): Alias {
  return { path, scale: 1 }
}
