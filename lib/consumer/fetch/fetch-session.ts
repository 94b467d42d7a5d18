/**
 * One fetch session: what the broker knows of our partitions, so that only changes travel (KIP-227).
 *
 *   full (0, 0) -> answer names a session -> (id, 1), (id, 2) .. (id, 2^31-1), (id, 1) ..    any failure -> full again
 *
 * Invariant: the state changes only by `accept` after a good answer; what was only asked is forgotten with the
 * failure. Pure: no time, no I/O. Source: kafka.md 5.2, C-1..C-4.
 */
const FULL_EPOCH = 0
const CLOSE_EPOCH = -1
const LAST_EPOCH = 2_147_483_647

/** One partition as it stands in a request. */
export interface FetchTarget {
  readonly topic: string
  /** Zero uuid: unknown; the request then names the topic. */
  readonly topicId: string
  readonly partition: number
  readonly fetchOffset: number
  readonly leaderEpoch: number
  readonly lastFetchedEpoch: number
  readonly maxBytes: number
  /** Changes with every seek and assignment: an answer to an older one is stale. */
  readonly generation: number
}

export interface ForgottenPartition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}

export interface SessionRequest<O> {
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly changed: readonly FetchTarget[]
  readonly forgotten: readonly ForgottenPartition[]
  /** What the broker knows if this request succeeds. */
  readonly known: ReadonlyMap<O, FetchTarget>
  readonly usesIds: boolean
}

/** `O` identifies a partition: the object that owns it here. */
export class FetchSession<O> {
  #id = 0
  /** Of the next request; `FULL_EPOCH` while there is no session to continue. */
  #epoch = FULL_EPOCH
  #usesIds = false
  #known: ReadonlyMap<O, FetchTarget> = new Map()

  get id(): number {
    return this.#id
  }

  /** The request for exactly these partitions, in this order. A session by names and one by ids do not mix (106). */
  request(wanted: ReadonlyMap<O, FetchTarget>, usesIds: boolean): SessionRequest<O> {
    if (this.#epoch === FULL_EPOCH || usesIds !== this.#usesIds) return this.#fullRequest(wanted, usesIds)
    const changed: FetchTarget[] = []
    for (const [owner, target] of wanted) {
      const known = this.#known.get(owner)
      if (known === undefined || !isSame(known, target)) changed.push(target)
    }
    const forgotten = this.#forgotten(wanted)
    if (isWantedAgain(forgotten, wanted, usesIds)) return this.#fullRequest(wanted, usesIds)
    return { sessionId: this.#id, sessionEpoch: this.#epoch, changed, forgotten, known: wanted, usesIds }
  }

  /** A good answer: its session id 0 means that the broker has no place and takes full requests only. */
  accept(request: SessionRequest<O>, answeredId: number): void {
    if (answeredId === 0) {
      this.reset()
      return
    }
    this.#epoch = request.sessionEpoch === LAST_EPOCH ? 1 : request.sessionEpoch + 1
    this.#id = answeredId
    this.#known = request.known
    this.#usesIds = request.usesIds
  }

  /** After any failure: what the broker knows is unsure, the next request is full. It names the old session, so that
   * the broker gives its place free and nobody else's session has to go (K-21). */
  renew(): void {
    this.#epoch = FULL_EPOCH
    this.#known = new Map()
  }

  /** The broker does not know the session (70), or has no place for one. */
  reset(): void {
    this.#id = 0
    this.renew()
  }

  /** The request that ends the session at the broker; undefined when there is none. */
  closing(): SessionRequest<O> | undefined {
    if (this.#id === 0) return undefined
    const none = { changed: [], forgotten: [], known: new Map<O, FetchTarget>(), usesIds: this.#usesIds }
    return { sessionId: this.#id, sessionEpoch: CLOSE_EPOCH, ...none }
  }

  #fullRequest(wanted: ReadonlyMap<O, FetchTarget>, usesIds: boolean): SessionRequest<O> {
    const changed = [...wanted.values()]
    return { sessionId: this.#id, sessionEpoch: FULL_EPOCH, changed, forgotten: [], known: wanted, usesIds }
  }

  /** Partitions that are gone, and those whose topic was made anew under another id (C-3). */
  #forgotten(wanted: ReadonlyMap<O, FetchTarget>): ForgottenPartition[] {
    const forgotten: ForgottenPartition[] = []
    for (const [owner, known] of this.#known) {
      if (wanted.get(owner)?.topicId !== known.topicId) forgotten.push(known)
    }
    return forgotten
  }
}

/**
 * A partition left us and came back, under another owner, since the last answer. A broker takes what is new first and
 * then forgets, so one request that says both would leave it out for good.
 */
function isWantedAgain(
  forgotten: readonly ForgottenPartition[],
  wanted: ReadonlyMap<unknown, FetchTarget>,
  usesIds: boolean,
): boolean {
  if (forgotten.length === 0) return false
  const nameOf = ({ topic, topicId, partition }: ForgottenPartition) => `${usesIds ? topicId : topic}/${partition}`
  const gone = new Set(forgotten.map(nameOf))
  for (const target of wanted.values()) if (gone.has(nameOf(target))) return true
  return false
}

function isSame(a: FetchTarget, b: FetchTarget): boolean {
  return (
    a.fetchOffset === b.fetchOffset &&
    a.leaderEpoch === b.leaderEpoch &&
    a.lastFetchedEpoch === b.lastFetchedEpoch &&
    a.maxBytes === b.maxBytes &&
    a.topicId === b.topicId
  )
}
