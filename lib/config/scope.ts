/**
 * A scope is a field table with its names indexed: fields, aliases, groups.
 * `collect` walks what the caller passed along a scope and returns checked values by field path; it never changes
 * its input. Invariant: an entry is good (normalised) or bad (a finding names it), so relations can skip bad ones.
 */
import type { FieldSpec, FieldTable } from './field.js'
import { type Findings, text } from './issues.js'
import { nearestName } from './nearest.js'

/** A value the caller gave, `at` the path it was written under. */
export interface Entry {
  readonly value: unknown
  readonly at: string
  readonly isBad: boolean
}

export type Entries = Map<string, Entry>

interface Row {
  readonly path: string
  readonly spec: FieldSpec
  readonly scale: number
}

export interface Scope {
  readonly table: FieldTable
  /** Paths that a group inherits: unset ones are named as the client's. */
  readonly inherited: FieldTable
  readonly rows: ReadonlyMap<string, Row>
  readonly groups: ReadonlySet<string>
}

/** Other names of groups. */
const GROUP_ALIASES: Readonly<Record<string, string>> = { SASL: 'sasl', SSL: 'ssl' }

export function scopeOf(own: FieldTable, inherited: FieldTable = {}): Scope {
  const table = { ...inherited, ...own }
  const rows = new Map<string, Row>()
  const groups = new Set<string>()
  for (const [path, spec] of Object.entries(table)) {
    for (const { path: name, scale } of [{ path, scale: 1 }, ...spec.aliases]) {
      rows.set(name, { path, spec, scale })
      const dot = name.indexOf('.')
      if (dot > 0) groups.add(name.slice(0, dot))
    }
  }
  return { table, inherited, rows, groups }
}

/** Every value of `input` that the scope knows; everything else becomes a finding. */
export function collect(input: object, scope: Scope, prefix: string, findings: Findings): Entries {
  const entries: Entries = new Map()
  walk(input, '', prefix, scope, entries, findings)
  return entries
}

function walk(input: object, group: string, at: string, scope: Scope, entries: Entries, findings: Findings): void {
  for (const [key, value] of Object.entries(input)) {
    if (value === undefined) continue
    const name = group === '' ? (GROUP_ALIASES[key] ?? key) : `${group}.${key}`
    const row = scope.rows.get(name)
    if (row !== undefined) add(row, value, at + key, entries, findings)
    else if (group === '' && scope.groups.has(name)) enter(value, name, at + key, scope, entries, findings)
    else findings.invalid(at + key, value, unknownField(name, group, scope))
  }
}

function enter(value: unknown, group: string, at: string, scope: Scope, entries: Entries, findings: Findings): void {
  if (isPlainObject(value)) walk(value, group, `${at}.`, scope, entries, findings)
  else findings.invalid(at, value, 'an object')
}

function add(row: Row, value: unknown, at: string, entries: Entries, findings: Findings): void {
  const scaled = row.scale !== 1 && typeof value === 'number' ? value * row.scale : value
  const isBad = !row.spec.accepts(scaled)
  if (isBad) findings.invalid(at, value, row.spec.expected)
  const entry: Entry = { value: isBad ? value : row.spec.normalise(scaled), at, isBad }
  const known = entries.get(row.path)
  if (known !== undefined && !isSame(known.value, entry.value)) {
    findings.invalid(at, value, `the same value as ${known.at} (${text(known.value)}), of which it is another name`)
  }
  entries.set(row.path, entry)
}

/** Equal by content, as far as configuration values go: primitives, functions, lists and plain objects of them. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}

function unknownField(name: string, group: string, scope: Scope): string {
  const known = [...scope.rows].filter(([row]) => group === '' || row.startsWith(`${group}.`))
  const names = known.map(([row]) => (group === '' ? (row.split('.')[0] as string) : row))
  const nearest = nearestName(name, names)
  if (nearest === undefined) return 'no such field'
  return `a known field; the nearest is ${scope.rows.get(nearest)?.path ?? nearest}`
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
