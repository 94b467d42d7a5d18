/**
 * How a member says goodbye.
 * Why it may never hold anybody up: the group notices a silent member by itself after a session time, so a goodbye that
 * finds no coordinator is worth that long and no longer. And why it matters: until then everybody else waits.
 * Invariant: static members say none, they come back (KIP-345); a goodbye that failed is told to a person.
 */
import { runInBackground } from '../../../util/index.js'
import type { MemberParts } from '../member-parts.js'
import type { ClassicRequests } from './requests.js'
import { Stay } from './stay.js'

export class Leaving {
  readonly #parts: MemberParts
  readonly #requests: ClassicRequests

  constructor(parts: MemberParts, requests: ClassicRequests) {
    this.#parts = parts
    this.#requests = requests
  }

  /** Resolves when the group knows, at the latest at the deadline. Never rejects. */
  leave(memberId: string, reason: string, deadlineMs = Number.POSITIVE_INFINITY): Promise<void> {
    const { config, clock } = this.#parts
    if (memberId === '' || config.groupInstanceId !== undefined) return Promise.resolve()
    const untilMs = Math.min(deadlineMs, clock.monotonicMs() + config.sessionTimeoutMs)
    const left = this.#requests.leave(memberId, reason, untilMs).catch((error: unknown) => this.#tell(error))
    return this.atMost(left, untilMs)
  }

  inBackground(memberId: string, reason: string): void {
    runInBackground(
      'leave group',
      () => this.leave(memberId, reason),
      (_name, error) => this.#tell(error),
    )
  }

  /** `work`, or nothing at the deadline. */
  atMost(work: Promise<void>, deadlineMs: number): Promise<void> {
    return new Stay(this.#parts.clock).until(work, deadlineMs)
  }

  #tell(error: unknown): void {
    const { config, host } = this.#parts
    host.warn(`group ${config.groupId} could not be told that a member leaves`, { error: String(error) })
  }
}
