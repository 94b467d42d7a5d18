/**
 * What stands in LOCK: who has it. Information for people and for the error of who is refused, never a reason to take
 * over: the kernel alone decides that. Fixed length, because files are overwritten in place and never cut.
 * Source: wal.md 2.1, 2.2.
 */
import type { HostFacts } from '../types.js'

export const OWNER_TEXT_BYTES = 512

export interface LockOwner {
  readonly pid: number
  readonly host: string
  readonly bootId: string
  /** 0: its recovery has not come that far. */
  readonly incarnation: number
}

export function encodeLockOwner(host: HostFacts, incarnation: number): Uint8Array {
  // A name that does not fit is cut: 253 B is the longest that a system allows.
  const owner: LockOwner = {
    pid: host.pid,
    host: host.host.slice(0, 253),
    bootId: host.bootId.slice(0, 64),
    incarnation,
  }
  const bytes = new Uint8Array(OWNER_TEXT_BYTES).fill(0x20)
  bytes.set(Buffer.from(JSON.stringify(owner)).subarray(0, OWNER_TEXT_BYTES - 1))
  bytes[OWNER_TEXT_BYTES - 1] = 0x0a
  return bytes
}

/** null: empty (its owner has not written it yet) or not ours. */
export function decodeLockOwner(bytes: Uint8Array): LockOwner | null {
  try {
    const owner = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<LockOwner> | null
    if (owner === null || typeof owner.pid !== 'number') return null
    return { pid: owner.pid, host: owner.host ?? '', bootId: owner.bootId ?? '', incarnation: owner.incarnation ?? 0 }
  } catch {
    return null // Expected outcome: there is no text, and the refusal then names nobody.
  }
}
