/**
 * What `-o` says: where to begin (`beginning`, `end`, `stored`, `7`, `-5`, `s@time`) and where to stop (`e@time`).
 * A time is milliseconds since 1970, as kcat has it, or an ISO date. Source: kcat(1).
 */
import { UsageError } from './usage.js'

export type Start =
  | { readonly kind: 'beginning' | 'end' | 'stored' }
  | { readonly kind: 'absolute'; readonly offset: number }
  /** So many before the end. */
  | { readonly kind: 'relative'; readonly records: number }
  | { readonly kind: 'time'; readonly timestamp: number }

export interface Range {
  /** Undefined: as the mode has it. */
  readonly start: Start | undefined
  /** The first record at or after this time is not read any more. */
  readonly untilMs: number | undefined
}

const WORDS: Readonly<Record<string, Start>> = {
  beginning: { kind: 'beginning' },
  earliest: { kind: 'beginning' },
  end: { kind: 'end' },
  latest: { kind: 'end' },
  stored: { kind: 'stored' },
}

/** Later words win, except that a beginning and an end stand side by side. */
export function parseRange(words: readonly string[]): Range {
  let start: Start | undefined
  let untilMs: number | undefined
  for (const word of words) {
    if (word.startsWith('e@')) untilMs = timeOf(word.slice(2))
    else start = startOf(word)
  }
  return { start, untilMs }
}

export function startOf(word: string): Start {
  const known = WORDS[word]
  if (known !== undefined) return known
  if (word.startsWith('s@')) return { kind: 'time', timestamp: timeOf(word.slice(2)) }
  const value = /^-?\d+$/.test(word) ? Number(word) : Number.NaN
  if (!Number.isSafeInteger(value)) {
    throw new UsageError(`-o: expected beginning, end, stored, N, -N, s@time or e@time, got '${word}'`)
  }
  return word.startsWith('-') ? { kind: 'relative', records: -value } : { kind: 'absolute', offset: value }
}

export function timeOf(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new UsageError(`expected a time in milliseconds since 1970, or like 2026-01-31T12:00:00Z, got '${text}'`)
}
