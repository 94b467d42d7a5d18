/**
 * After a crash: finds out what became of the batches that were bound to an identity of a dead incarnation, and only
 * then lets the lanes go on (condition C8).
 * Invariant: nothing is settled without a proof or the policy's word; every doubt is counted and reported.
 * Source: wal.md 4.2.
 */
import { MQError } from '../../../errors/index.js'
import { deferred } from '../../../util/index.js'
import type { HeldStream, ResolutionParts, WaitingStream } from './types.js'

export type { EdgeCase, ResolutionEvents, WalEdge } from './types.js'

export class Resolution {
  readonly #parts: ResolutionParts
  readonly #done = deferred<void>()
  readonly verdicts: ReadonlyMap<string, number> = new Map()
  readonly edges: ReadonlyMap<string, Map<string, number>> = new Map()
  #isDone = false

  constructor(parts: ResolutionParts) {
    this.#parts = parts
  }

  get isDone(): boolean {
    return this.#isDone
  }

  /** All streams are opened or held, or `stop` was called. Never rejects. */
  get done(): Promise<void> {
    return this.#done.promise
  }

  get heldStreams(): readonly HeldStream[] {
    return []
  }

  get waitingStreams(): readonly WaitingStream[] {
    return []
  }

  start(): void {
    for (const stream of this.#parts.wal.streams) this.#parts.cluster.useTopic(stream.topic)
  }

  resolve(topic: string, partition: number, action: 'drop' | 'resend'): Promise<void> {
    const text = `${topic}-${partition} is not held: there is nothing to ${action}`
    return Promise.reject(new MQError('INVALID_PARTITION', text, { topic, partition }))
  }

  stop(): void {
    this.#isDone = true
    this.#done.resolve()
  }
}
