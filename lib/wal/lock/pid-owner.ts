/**
 * Whether the owner written into a pid file is provably gone.
 * Why so careful: a pid file is the one lock no kernel releases, and taking over from a living owner is two writers in
 * one log. Gone is proven by another boot of the same machine, or, within the same boot and the same set of process
 * numbers, by a pid that does not exist or was started at another time. Whatever is not known counts as alive.
 * Source: wal.md 2.2.
 */
export interface PidOwner {
  readonly pid: number
  readonly host: string
  /** '' = unknown. */
  readonly bootId: string
  /** The set of process numbers `pid` belongs to (a container has its own); '' = unknown. */
  readonly namespace: string
  /** When the process was started, in the system's own unit; '' = unknown. */
  readonly startedAt: string
}

export interface PidFacts {
  /** The machine this process runs on, and its set of process numbers. */
  readonly self: Pick<PidOwner, 'host' | 'bootId' | 'namespace'>
  /** The directory is on a file system of this kernel: nobody of another boot can be writing to it. */
  readonly isLocal: boolean
  /** Start time of a process here, null when there is none of that number, '' when it cannot be told. */
  readonly startOf: (pid: number) => string | null
}

export function isProvablyGone(owner: PidOwner, facts: PidFacts): boolean {
  const { self } = facts
  if (owner.bootId === '' || self.bootId === '') return isSameHost(owner, self) && isProcessGone(owner, facts)
  if (owner.bootId !== self.bootId) return facts.isLocal || owner.host === self.host
  return isProcessGone(owner, facts)
}

function isSameHost(owner: PidOwner, self: PidFacts['self']): boolean {
  return owner.host === self.host
}

function isProcessGone(owner: PidOwner, facts: PidFacts): boolean {
  if (owner.namespace !== facts.self.namespace) return false
  const started = facts.startOf(owner.pid)
  if (started === null) return true
  return started !== '' && owner.startedAt !== '' && started !== owner.startedAt
}

export function encodePidOwner(owner: PidOwner): string {
  return `${JSON.stringify(owner)}\n`
}

/** null: not a text of ours, so nothing about its owner is known. */
export function decodePidOwner(text: string): PidOwner | null {
  try {
    const owner = JSON.parse(text) as Partial<PidOwner> | null
    if (owner === null || !Number.isSafeInteger(owner.pid)) return null
    const { pid, host = '', bootId = '', namespace = '', startedAt = '' } = owner
    return { pid: pid as number, host, bootId, namespace, startedAt }
  } catch {
    return null // Expected outcome: somebody else's file, or one that was torn.
  }
}
