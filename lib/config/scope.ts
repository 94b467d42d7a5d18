/**
 * A scope is a field table with its names indexed: fields, aliases, groups.
 * `collect` walks what the caller passed along a scope and returns checked values by field path; it never changes
 * its input. Invariant: an entry is good (normalised) or bad (a finding names it), so relations can skip bad ones.
 */
import { nearestName } from '../util/index.js'
import type { FieldSpec, FieldTable } from './field.js'
import type { Findings } from './issues.js'
import { fieldsOf, isPlainObject, isSame } from './objects.js'
import { HIDDEN, kindOf, looksSecret, shown, text } from './shown.js'

/** A value that was given, `at` the path it was written under. */
export interface Entry {
  readonly value: unknown
  readonly at: string
  readonly isBad: boolean
  /** Given by a preset, not by the caller. */
  readonly isPreset: boolean
}

export type Entries = Map<string, Entry>

interface Row {
  readonly path: string
  readonly spec: FieldSpec
  readonly divisor: number
}

export interface Scope {
  readonly table: FieldTable
  /** Paths that a group inherits: unset ones are named as the client's. */
  readonly inherited: FieldTable
  readonly rows: ReadonlyMap<string, Row>
  readonly groups: ReadonlySet<string>
  /** What is known elsewhere, by the path to write it under: a field of a producer at the top belongs into its group. */
  readonly elsewhere: ReadonlyMap<string, string>
}

/** Other names of groups. */
const GROUP_ALIASES: ReadonlyMap<string, string> = new Map([
  ['SASL', 'sasl'],
  ['SSL', 'ssl'],
  ['poolConfig', 'pool'],
])
/** Groups in which even a misspelt field is likely to hold a secret. */
const SECRET_GROUPS = ['sasl', 'ssl']

export function scopeOf(
  own: FieldTable,
  inherited: FieldTable = {},
  elsewhere: ReadonlyMap<string, string> = new Map(),
): Scope {
  const table = { ...inherited, ...own }
  const rows = new Map<string, Row>()
  const groups = new Set<string>()
  for (const [path, spec] of Object.entries(table)) {
    for (const { path: name, divisor } of [{ path, divisor: 1 }, ...spec.aliases]) {
      rows.set(name, { path, spec, divisor })
      for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) groups.add(name.slice(0, dot))
    }
  }
  return { table, inherited, rows, groups, elsewhere }
}

/** Every value of `input` that the scope knows; everything else becomes a finding. */
export function collect(input: object, scope: Scope, prefix: string, findings: Findings): Entries {
  const entries: Entries = new Map()
  walk(input, '', prefix, scope, entries, findings)
  return entries
}

function walk(input: object, group: string, at: string, scope: Scope, entries: Entries, findings: Findings): void {
  const fields = fieldsOf(input)
  if (fields === undefined) findings.invalid(group === '' ? 'config' : at.slice(0, -1), '[unreadable]', 'an object')
  for (const [key, value] of Object.entries(fields ?? {})) {
    if (value === undefined) continue
    const name = group === '' ? (GROUP_ALIASES.get(key) ?? key) : `${group}.${key}`
    const row = scope.rows.get(name)
    if (row !== undefined) add(row, value, at + key, entries, findings)
    else if (scope.groups.has(name)) enter(value, name, at + key, scope, entries, findings)
    else
      findings.invalid(
        at + (key === '' ? "''" : key),
        shownUnknown(key, group, value),
        unknownField(name, group, scope),
      )
  }
}

function enter(value: unknown, group: string, at: string, scope: Scope, entries: Entries, findings: Findings): void {
  if (isPlainObject(value)) walk(value, group, `${at}.`, scope, entries, findings)
  else findings.invalid(at, SECRET_GROUPS.includes(group) ? HIDDEN : kindOf(value), 'an object')
}

function add(row: Row, value: unknown, at: string, entries: Entries, findings: Findings): void {
  const entry = entryOf(row, value, at)
  if (entry.isBad) findings.invalid(at, shownBy(row.spec, value), row.spec.expected)
  const known = entries.get(row.path)
  if (known !== undefined && !isSame(known.value, entry.value)) {
    const other = text(shownBy(row.spec, known.value))
    const expected = `the same value as ${known.at} (${other}), of which it is another name`
    findings.invalid(at, shownBy(row.spec, value), expected)
  }
  entries.set(row.path, entry)
}

function entryOf({ spec, divisor }: Row, value: unknown, at: string): Entry {
  // Divided, not multiplied by a fraction: 1001 / 1000 is 1.001, 1001 * 0.001 is not.
  const scaled = typeof value === 'number' ? value / divisor : value
  try {
    if (spec.accepts(scaled)) return { value: spec.normalise(scaled), at, isBad: false, isPreset: false }
  } catch {
    // A getter or proxy of the caller threw while it was looked at: no legal value does that.
  }
  return { value, at, isBad: true, isPreset: false }
}

/** The value as findings and printouts may show it. */
export function shownBy(spec: FieldSpec, value: unknown): unknown {
  if (value === undefined) return undefined
  if (spec.shows === 'nothing') return HIDDEN
  return spec.shows === 'kind' ? kindOf(value) : shown(value)
}

/** Whoever misspells `password` has still written it down. */
function shownUnknown(key: string, group: string, value: unknown): unknown {
  const isSecret = SECRET_GROUPS.includes(group) || looksSecret(key) || SECRET_GROUPS.includes(key.toLowerCase())
  return isSecret ? HIDDEN : kindOf(value)
}

function unknownField(name: string, group: string, scope: Scope): string {
  const known = [...scope.rows].filter(([row]) => group === '' || row.startsWith(`${group}.`))
  const names = known.map(([row]) => (group === '' ? (row.split('.')[0] as string) : row))
  const nearest = nearestName(name, group === '' ? [...names, ...scope.elsewhere.keys()] : names)
  if (nearest === undefined) return 'no such field'
  const path = names.includes(nearest) ? scope.rows.get(nearest)?.path : scope.elsewhere.get(nearest)
  return `a known field; the nearest is ${path ?? nearest}`
}
