/**
 * A configuration between merge and freeze: one value per field path, and whether the caller set it.
 * Why a flat map: relations name fields by path, and only `finish` knows how paths nest.
 */
import { type Findings, shownText } from './issues.js'
import type { Entries, Scope } from './scope.js'

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

  /** True if the caller (or a preset) gave a value, also 0, false and ''. */
  isSet(path: string): boolean {
    return this.#entries.has(path)
  }

  /** The path as the caller wrote it, else as it is named here. */
  at(path: string): string {
    return this.#entries.get(path)?.at ?? (Object.hasOwn(this.#scope.inherited, path) ? path : this.#prefix + path)
  }

  /** A relation between good values that does not hold becomes one finding that names both fields. */
  relate(path: string, others: readonly string[], holds: boolean, rule: string): void {
    if (holds || [path, ...others].some((name) => this.#entries.get(name)?.isBad)) return
    const named = others.map((other) => `${this.at(other)} (${shownText(other, this.get(other))})`).join(' and ')
    this.findings.invalid(this.at(path), this.get(path), `${rule} ${named}`)
  }

  /** Nests the values by their paths and freezes every object made here. What callers passed in stays theirs. */
  finish(): object {
    const root: Record<string, unknown> = {}
    for (const [path, value] of this.#values) {
      const dot = path.indexOf('.')
      if (dot < 0) root[path] = value
      else groupOf(root, path.slice(0, dot))[path.slice(dot + 1)] = value
    }
    for (const path of this.#values.keys()) {
      const dot = path.indexOf('.')
      if (dot > 0) Object.freeze(root[path.slice(0, dot)])
    }
    return root
  }
}

function groupOf(root: Record<string, unknown>, name: string): Record<string, unknown> {
  const group = (root[name] ?? {}) as Record<string, unknown>
  root[name] = group
  return group
}
