/**
 * Why the resolution of a stream ends in the middle of a step.
 * Why an exception: it may be noticed in any wait, ten calls deep, and nobody between there and the stream can do
 * anything about it. It never leaves this folder.
 */
export type InterruptionKind =
  /** `stop` was called. */
  | 'stopped'
  /** The topic has another id: it was deleted and made anew (E6). */
  | 'otherTopic'
  /** A broker says that it belongs to another cluster (E7). */
  | 'otherCluster'

export class Interruption extends Error {
  readonly kind: InterruptionKind

  constructor(kind: InterruptionKind) {
    super(`resolution interrupted: ${kind}`)
    this.kind = kind
  }
}
