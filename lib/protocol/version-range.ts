/**
 * Version ranges as the schemas write them: `3`, `2-5`, `4+`, `none`.
 * Why: every field, message and nullable span is a range, and all of them are asked the same question.
 * Invariant: a parsed range is frozen; `none` contains nothing. Source: kafka.md W-1.
 */
import { assert } from '../util/index.js'

export interface VersionRange {
  readonly min: number
  /** Infinity for an open range. */
  readonly max: number
}

export const NO_VERSIONS: VersionRange = Object.freeze({ min: Number.POSITIVE_INFINITY, max: -1 })

export function parseRange(text: string): VersionRange {
  if (text === 'none') return NO_VERSIONS
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text)
  assert(match !== null, 'a version range is n, n-m, n+ or none')
  const min = Number(match[1])
  const max = match[2] === '+' ? Number.POSITIVE_INFINITY : match[3] === undefined ? min : Number(match[3])
  assert(max >= min, 'a version range does not run backwards')
  return Object.freeze({ min, max })
}

export function inRange(range: VersionRange, version: number): boolean {
  return version >= range.min && version <= range.max
}

/** The range in the notation it was written in. */
export function formatRange({ min, max }: VersionRange): string {
  if (max < min) return 'none'
  if (max === Number.POSITIVE_INFINITY) return `${min}+`
  return min === max ? `${min}` : `${min}-${max}`
}
