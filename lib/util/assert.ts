/**
 * Assertions are for our own mistakes and stay on in production.
 * Callers pass constant texts: a template string would allocate although all is well.
 */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(`tandem-mq defect: ${message}`)
}
