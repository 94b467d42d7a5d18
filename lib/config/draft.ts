/**
 * A configuration between merge and freeze: one value per field path, and whether it was given.
 * Why a flat map: relations name fields by path, and only `finish` knows how paths nest.
 */
import type { FieldSpec } from './field.js'
import type { Findings } from './issues.js'
import { hideSecrets } from './printing.js'
import { type Entries, type Scope, shownBy } from './scope.js'
import { text } from './shown.js'

export class Draft {
  readonly findings: Findings
  readonly #entries: Entries
  readonly #scope: Scope
  readonly #prefix: string
  readonly #values = new Map<string, unknown>()

  constructor(scope: Scope, entries: Entries, prefix: string, findings: Findings) {
    this.findings = findings
    this.#entries = entries
    this.#scope = scope
    this.#prefix = prefix
    for (const [path, spec] of Object.entries(scope.table)) {
      const entry = entries.get(path)
      const fallback = spec.default === undefined ? undefined : spec.normalise(spec.default)
      this.#values.set(path, entry === undefined || entry.isBad ? fallback : entry.value)
    }
  }

  get(path: string): unknown {
    return this.#values.get(path)
  }

  number(path: string): number {
    return this.#values.get(path) as number
  }

  set(path: string, value: unknown): void {
    this.#values.set(path, value)
  }

  /** True if the caller or a preset gave a value, also 0, false and ''. */
  isSet(path: string): boolean {
    return this.#entries.has(path)
  }

  /** The path as the caller wrote it, else as it is named here. */
  at(path: string): string {
    const entry = this.#entries.get(path)
    if (entry !== undefined && !entry.isPreset) return entry.at
    return Object.hasOwn(this.#scope.inherited, path) ? path : this.#prefix + path
  }

  /** A relation between good values that does not hold becomes one finding that names all fields. */
  relate(path: string, others: readonly string[], holds: boolean, rule: string): void {
    if (holds || [path, ...others].some((name) => this.#entries.get(name)?.isBad)) return
    const named = others.map((other) => `${this.at(other)} (${this.#said(other)})`).join(' and ')
    const source = this.#entries.get(path)?.isPreset ? `; it comes from preset ${text(this.get('preset'))}` : ''
    const value = shownBy(this.#spec(path), this.get(path))
    this.findings.invalid(this.at(path), value, `${rule} ${named}${source}`)
  }

  /** Nests the values by their paths and freezes every object made here. What callers passed in stays theirs. */
  finish(): object {
    const groups = new Map<string, Record<string, unknown>>([['', {}]])
    for (const [path, value] of this.#values) {
      const dot = path.lastIndexOf('.')
      groupOf(groups, path.slice(0, Math.max(dot, 0)))[path.slice(dot + 1)] = value
    }
    for (const [path, group] of groups)
      hideSecrets(group, (name) => this.#scope.table[path === '' ? name : `${path}.${name}`])
    for (const [path, group] of groups) if (path !== '') Object.freeze(group)
    return groupOf(groups, '')
  }

  #said(path: string): string {
    const value = text(shownBy(this.#spec(path), this.get(path)))
    return this.#entries.get(path)?.isPreset ? `${value} by preset ${text(this.get('preset'))}` : value
  }

  #spec(path: string): FieldSpec {
    return this.#scope.table[path] as FieldSpec
  }
}

/** The object at a path of groups, made and hung into its parent when it is not there yet. */
function groupOf(groups: Map<string, Record<string, unknown>>, path: string): Record<string, unknown> {
  const known = groups.get(path)
  if (known !== undefined) return known
  const made: Record<string, unknown> = {}
  groups.set(path, made)
  const dot = path.lastIndexOf('.')
  groupOf(groups, path.slice(0, Math.max(dot, 0)))[path.slice(dot + 1)] = made
  return made
}
