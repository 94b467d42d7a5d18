/**
 * Which of the two text formats a scraper wants (RFC 9110, 12.5.1).
 * Why plain text wins a tie, and an Accept of anything: every reader understands it.
 */
const OPEN_METRICS = 'application/openmetrics-text'
const PLAIN_TEXT = 'text/plain'

/** True if `accept` names OpenMetrics and likes it more than plain text. */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  if (accept === undefined) return false
  const weights = accept.split(',').map(weightOf)
  const openMetrics = bestOf(weights, [OPEN_METRICS])
  return openMetrics > 0 && openMetrics > bestOf(weights, [PLAIN_TEXT])
}

function weightOf(range: string): readonly [type: string, weight: number] {
  const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
  const text = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  const weight = text === undefined ? 1 : Number(text)
  return [type, Number.isFinite(weight) ? weight : 0]
}

function bestOf(weights: readonly (readonly [string, number])[], types: readonly string[]): number {
  return Math.max(0, ...weights.filter(([type]) => types.includes(type)).map(([, weight]) => weight))
}
