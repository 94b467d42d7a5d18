/**
 * What can go wrong with a call, as data: which call, how often, how.
 * Source: wal.md 6.1, research 4 (cases 29-44).
 */
import type { Call, CallKind, SimDisk } from './disk.js'

export const ERRNOS = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'EACCES'] as const
export type Errno = (typeof ERRNOS)[number]

export interface Answer {
  /** Fails with it. */
  readonly code?: string
  /** Of a write: that many bytes reach the file, with or without an error after them. */
  readonly written?: number
  /** Of a failing sync: its pages count as clean from now on, and are not on the disk. */
  readonly dropsPages?: boolean
  /** Says yes and does nothing: a disk, or a library, that lies. */
  readonly isLie?: boolean
  /** Never ends, unless the test ends it. */
  readonly isHung?: boolean
}

/** Asked for each call when it is made; null: nothing is wrong. */
export type Inject = (call: Call, disk: SimDisk) => Answer | null

const NUMBERS: Record<string, number> = {
  ENOENT: -2,
  EIO: -5,
  EBADF: -9,
  EWOULDBLOCK: -11,
  EACCES: -13,
  EEXIST: -17,
  ENOTDIR: -20,
  EISDIR: -21,
  EMFILE: -24,
  ENOSPC: -28,
  EROFS: -30,
  ELOOP: -40,
  ENOTSUP: -95,
  EDQUOT: -122,
}

/** An error as the system gives it. */
export function fault(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: simulated, ${syscall} '${path}'`)
  error.code = code
  error.syscall = syscall
  error.path = path
  error.errno = NUMBERS[code] ?? -1
  return error
}

/** The call with that running number fails; `isForEver`: and every later one of its kind. */
export function failCall(index: number, answer: Answer, isForEver: boolean): Inject {
  let kind: CallKind | null = null
  return (call) => {
    if (call.index === index) {
      kind = call.kind
      return answer
    }
    return isForEver && call.kind === kind ? answer : null
  }
}

/** Every call of that kind is a lie, from the running number `from` on. */
export function lie(kind: CallKind, from = 0): Inject {
  return (call) => (call.kind === kind && call.index >= from ? { isLie: true } : null)
}

/** The n-th call (from 1) of that kind fails; `isForEver`: and every later one. */
export function failNth(kind: CallKind, n: number, answer: Answer, isForEver = false): Inject {
  let seen = 0
  return (call) => {
    if (call.kind !== kind) return null
    seen++
    return seen === n || (isForEver && seen > n) ? answer : null
  }
}
