/** The two relations that most rules between numbers are. */
import type { Draft } from './draft.js'

export function atLeast(draft: Draft, path: string, other: string): void {
  draft.relate(path, [other], draft.number(path) >= draft.number(other), 'at least')
}

export function atMost(draft: Draft, path: string, other: string): void {
  draft.relate(path, [other], draft.number(path) <= draft.number(other), 'at most')
}
