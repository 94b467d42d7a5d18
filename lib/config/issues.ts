/**
 * The findings of one configuration check.
 * Why: a caller who mends one field at a time learns the next fault only at the next start, so every finding is
 * collected first and thrown once, in `context.issues`.
 * Invariant: a secret never reaches a message. Source: features.md CF-3.
 */
import { MQError } from '../errors/index.js'

/** One finding: where, what was there, what was expected. */
export interface ConfigIssue {
  readonly path: string
  readonly value: unknown
  readonly expected: string
}

/** Something legal that its user should know about. */
export interface ConfigWarning {
  readonly path: string
  readonly message: string
}

/** Last words of paths whose values are secrets. */
const SECRETS = /(password|passphrase|token|^key|\.key)$/i

export class Findings {
  readonly warnings: ConfigWarning[] = []
  readonly #invalid: ConfigIssue[] = []
  readonly #missing: ConfigIssue[] = []

  invalid(path: string, value: unknown, expected: string): void {
    addOnce(this.#invalid, { path, value: shown(path, value), expected })
  }

  missing(path: string, expected: string): void {
    addOnce(this.#missing, { path, value: undefined, expected })
  }

  warn(path: string, message: string): void {
    if (!this.warnings.some((known) => known.path === path)) this.warnings.push({ path, message })
  }

  get isEmpty(): boolean {
    return this.#invalid.length + this.#missing.length === 0
  }

  /** Throws when there is a finding: MISSING_CONFIG when something is only missing, else INVALID_CONFIG. */
  throwIfAny(): void {
    if (this.isEmpty) return
    const issues = [...this.#invalid, ...this.#missing]
    const code = this.#invalid.length > 0 ? 'INVALID_CONFIG' : 'MISSING_CONFIG'
    throw new MQError(code, `configuration refused: ${issues.map(sentence).join('; ')}`, { issues })
  }
}

/** An inherited field is looked at by client, producer and consumer: one finding is enough. */
function addOnce(issues: ConfigIssue[], issue: ConfigIssue): void {
  if (!issues.some((known) => known.path === issue.path && known.expected === issue.expected)) issues.push(issue)
}

function sentence(issue: ConfigIssue): string {
  const got = issue.value === undefined ? '' : `, got ${text(issue.value)}`
  return `${issue.path}: expected ${issue.expected}${got}`
}

function shown(path: string, value: unknown): unknown {
  if (typeof value === 'function') return '[function]'
  return SECRETS.test(path) ? '[hidden]' : value
}

/** The value for a message; a secret stays hidden. */
export function shownText(path: string, value: unknown): string {
  const safe = shown(path, value)
  return typeof safe === 'string' ? safe : text(safe)
}

/** A short, safe text of anything a caller may have passed. */
export function text(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}
