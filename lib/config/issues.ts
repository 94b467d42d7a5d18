/**
 * The findings of one configuration check.
 * Why: a caller who mends one field at a time learns the next fault only at the next start, so every finding is
 * collected first and thrown once, in `context.issues`.
 * Invariant: a secret never reaches a message; whoever reports a value has hidden it. Source: features.md CF-3.
 */
import { MQError } from '../errors/index.js'
import { shown, text } from './shown.js'

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

/** A message names so many findings; `context.issues` has them all. */
const MOST_IN_MESSAGE = 20

export class Findings {
  readonly warnings: ConfigWarning[] = []
  readonly #invalid: ConfigIssue[] = []
  readonly #missing: ConfigIssue[] = []

  invalid(path: string, value: unknown, expected: string): void {
    addOnce(this.#invalid, { path, value: shown(value), expected })
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
    const more = issues.length > MOST_IN_MESSAGE ? `; and ${issues.length - MOST_IN_MESSAGE} more` : ''
    const sentences = issues.slice(0, MOST_IN_MESSAGE).map(sentence).join('; ')
    throw new MQError(code, `configuration refused: ${sentences}${more}`, { issues })
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
