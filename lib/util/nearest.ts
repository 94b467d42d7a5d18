/**
 * The known name closest to an unknown one.
 * Why: most unknown fields are typing errors, and the message should say which field was meant.
 */

/** No field has a longer name; the rest of a longer text would only cost time. */
const LONGEST = 100

/** The closest of `names` by edit distance, first one on a tie; undefined for an empty list. */
export function nearestName(unknown: string, names: readonly string[]): string | undefined {
  const wanted = unknown.slice(0, LONGEST).toLowerCase()
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance with one row of memory. */
function editDistance(a: string, b: string): number {
  const row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0] as number
    row[0] = i
    for (let j = 1; j <= b.length; j++) {
      const above = row[j] as number
      const changed = diagonal + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(above + 1, (row[j - 1] as number) + 1, changed)
      diagonal = above
    }
  }
  return row[b.length] as number
}
