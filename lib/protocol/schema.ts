/**
 * The language in which Kafka's messages are declared, and the types inferred from a declaration.
 * Why: one declaration per message serves client, broker and tests; there is no generated file and no build step.
 * Invariant: the order of the fields is their order on the wire. A field is optional to write when it has a default,
 * is ignorable, or does not exist in every version; reading always fills every field.
 * Source: kafka.md W-1, W-3; Kafka's message definitions for the facts.
 */
import { assert } from '../util/index.js'
import { inRange, parseRange, type VersionRange } from './version-range.js'

/** What a `records` field takes on writing: one segment or several, never copied. */
export type RecordSegments = Uint8Array | readonly Uint8Array[]

/** Kinds of single values: how they are written (`in`) and read (`out`). */
interface Kinds {
  bool: { in: boolean; out: boolean }
  int8: { in: number; out: number }
  int16: { in: number; out: number }
  int32: { in: number; out: number }
  uint16: { in: number; out: number }
  uint32: { in: number; out: number }
  /** int64 as bigint: producer ids and others that use all 64 bits. */
  int64: { in: bigint; out: bigint }
  /** int64 as number: offsets, timestamps, sizes. */
  n64: { in: number; out: number }
  float64: { in: number; out: number }
  string: { in: string; out: string }
  uuid: { in: string; out: string }
  bytes: { in: Uint8Array; out: Uint8Array }
  records: { in: RecordSegments; out: Uint8Array }
}
export type Kind = keyof Kinds

/** A value as it may be given to a writer, and as a reader gives it. */
interface Value<In, Out> {
  readonly $in?: In
  readonly $out?: Out
}

export interface Field<In = unknown, Out = unknown, Optional extends boolean = boolean> extends Value<In, Out> {
  readonly $optional?: Optional
  readonly kind: Kind | 'array' | 'struct'
  /** Element of an array, or fields of a struct. */
  readonly element: Kind | Fields | null
  readonly versions: VersionRange
  readonly nullable: VersionRange
  readonly ignorable: boolean
  /** -1 without a tag. */
  readonly tag: number
  readonly tagged: VersionRange
  /** Undefined where none is declared; what then counts is the default of the kind. */
  readonly default: unknown
}
export type Fields = { readonly [name: string]: Field }

export interface FieldOptions {
  /** Versions in which null is allowed. */
  readonly nullable?: string
  /** Value when absent. Undeclared: 0, false, '', no bytes, [], a struct of defaults; null for records. */
  readonly default?: unknown
  /** A version that lacks the field drops its value instead of refusing to write it. */
  readonly ignorable?: boolean
  readonly tag?: number
  /** Versions in which the field is a tagged one. */
  readonly tagged?: string
}

type OrNull<O> = O extends { readonly nullable: string } ? null : never
type IsOptional<V, O> = O extends { readonly default: unknown } | { readonly ignorable: true }
  ? true
  : V extends '0+'
    ? false
    : true
type InOf<F> = F extends Value<infer In, unknown> ? In : never
type OutOf<F> = F extends Value<unknown, infer Out> ? Out : never
type OptionalNames<Fs> = { [K in keyof Fs]: Fs[K] extends { readonly $optional?: true } ? K : never }[keyof Fs]

/** The fields as an object to write: those with a default may be left out. */
export type InputOf<Fs> = { readonly [K in Exclude<keyof Fs, OptionalNames<Fs>>]: InOf<Fs[K]> } & {
  readonly [K in OptionalNames<Fs>]?: InOf<Fs[K]> | undefined
}
/** The fields as an object that was read: every one is there. */
export type DecodedOf<Fs> = { readonly [K in keyof Fs]: OutOf<Fs[K]> }

type ElementIn<E> = E extends Kind ? Kinds[E]['in'] : InputOf<E>
type ElementOut<E> = E extends Kind ? Kinds[E]['out'] : DecodedOf<E>

function field(kind: Field['kind'], element: Field['element'], versions: string, options: FieldOptions): Field {
  return {
    kind,
    element,
    versions: parseRange(versions),
    nullable: parseRange(options.nullable ?? 'none'),
    ignorable: options.ignorable ?? false,
    tag: options.tag ?? -1,
    tagged: parseRange(options.tagged ?? 'none'),
    default: options.default,
  }
}

function single<K extends Kind>(kind: K) {
  return <const V extends string, const O extends FieldOptions = FieldOptions>(
    versions: V,
    options?: O,
  ): Field<Kinds[K]['in'] | OrNull<O>, Kinds[K]['out'] | OrNull<O>, IsOptional<V, O>> =>
    field(kind, null, versions, options ?? {}) as never
}

export const bool = single('bool')
export const int8 = single('int8')
export const int16 = single('int16')
export const int32 = single('int32')
export const uint16 = single('uint16')
export const uint32 = single('uint32')
export const int64 = single('int64')
export const n64 = single('n64')
export const float64 = single('float64')
export const string = single('string')
export const uuid = single('uuid')
export const bytes = single('bytes')
export const records = single('records')

/** An array of structs (`{ name: string('0+') }`) or of single values (`'int32'`). */
export function array<
  const V extends string,
  const E extends Kind | Fields,
  const O extends FieldOptions = FieldOptions,
>(
  versions: V,
  element: E,
  options?: O,
): Field<readonly ElementIn<E>[] | OrNull<O>, readonly ElementOut<E>[] | OrNull<O>, IsOptional<V, O>> {
  return field('array', element, versions, options ?? {}) as never
}

export function struct<const V extends string, const E extends Fields, const O extends FieldOptions = FieldOptions>(
  versions: V,
  fields: E,
  options?: O,
): Field<InputOf<E> | OrNull<O>, DecodedOf<E> | OrNull<O>, IsOptional<V, O>> {
  return field('struct', fields, versions, options ?? {}) as never
}

/** One direction of an api. */
export interface Message<Fs extends Fields = Fields> {
  readonly name: string
  readonly apiName: string
  readonly apiKey: number
  readonly versions: VersionRange
  readonly flexible: VersionRange
  readonly fields: Fs
}

export interface Api<Request extends Fields = Fields, Response extends Fields = Fields> {
  readonly key: number
  readonly name: string
  /** Versions with a schema. */
  readonly versions: VersionRange
  /** Versions with compact lengths and tagged fields. */
  readonly flexible: VersionRange
  /** Versions our client speaks; undefined: it does not use this api. */
  readonly client: VersionRange | undefined
  /** Versions the in-process broker serves; undefined: schema only. */
  readonly broker: VersionRange | undefined
  readonly request: Message<Request>
  readonly response: Message<Response>
}

interface ApiVersions {
  readonly versions: string
  readonly flexible: string
  readonly client?: string
  readonly broker?: string
}

/** Declares an api: its key, its name, its versions, and the fields of both directions. */
export function api<const Request extends Fields, const Response extends Fields>(
  key: number,
  name: string,
  spans: ApiVersions,
  body: { readonly request: Request; readonly response: Response },
): Api<Request, Response> {
  const versions = parseRange(spans.versions)
  const flexible = parseRange(spans.flexible)
  const of = (text: string | undefined) => (text === undefined ? undefined : within(parseRange(text), versions))
  const message = <Fs extends Fields>(direction: string, fields: Fs): Message<Fs> =>
    Object.freeze({ name: name + direction, apiName: name, apiKey: key, versions, flexible, fields })
  return Object.freeze({
    key,
    name,
    versions,
    flexible,
    client: of(spans.client),
    broker: of(spans.broker),
    request: message('Request', body.request),
    response: message('Response', body.response),
  })
}

function within(range: VersionRange, versions: VersionRange): VersionRange {
  assert(inRange(versions, range.min) && inRange(versions, range.max), 'a served range lies inside the schema versions')
  return range
}

/** The request of an api as it is given to a writer: fields with a default may be left out. */
export type RequestOf<A extends Api> = InputOf<A['request']['fields']>
/** The response of an api as it is given to a writer. */
export type ResponseOf<A extends Api> = InputOf<A['response']['fields']>
/** The request of an api as it was read: every field is there. */
export type DecodedRequestOf<A extends Api> = DecodedOf<A['request']['fields']>
/** The response of an api as it was read: every field is there. */
export type DecodedResponseOf<A extends Api> = DecodedOf<A['response']['fields']>
