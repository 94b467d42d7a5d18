/**
 * Every call of this room to a file system, behind one interface.
 * Why callbacks: the hot path makes one write and one sync per group, with callbacks bound once; a promise per call
 * would be most of their cost. Why an interface: crashes, short writes, errors and lost pages are only provable where
 * a test owns the disk.
 * Source: wal.md 6.1.
 */

/** `error` is the system's own (`code` 'EIO', 'ENOSPC' ...); exactly one call, never before the method returned. */
export type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void

export type LockMethod = 'flock' | 'sqlite' | 'pipe' | 'pidfile'
/** Gives the lock up; the kernel does it too when the process dies. */
export type Release = () => void

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other'
  readonly bytes: number
  readonly device: number
  readonly inode: number
  /** Permission bits, 0o777 at most. */
  readonly mode: number
  readonly userId: number
}

export interface FsFacts {
  readonly freeBytes: number
  /** Name of a network or FUSE file system ('nfs', 'smb', 'fuse' ...), null for a local one. */
  readonly remote: string | null
}

export interface WalFs {
  /** 'create' is exclusive (EEXIST), mode 0600 set explicitly; no mode follows a symbolic link. */
  open(path: string, mode: 'read' | 'write' | 'create', done: Done<number>): void
  /** Gives the bytes read; fewer than asked for only at the end of the file. */
  read(fd: number, into: Uint8Array, position: number, done: Done<number>): void
  /** Gives the bytes written, which may be fewer. */
  write(fd: number, bytes: Uint8Array, position: number, done: Done<number>): void
  fdatasync(fd: number, done: Done<void>): void
  close(fd: number, done: Done<void>): void
  fsyncDir(path: string, done: Done<void>): void
  /** Mode 0700 set explicitly; parents are made too. */
  mkdir(path: string, done: Done<void>): void
  rename(from: string, to: string, done: Done<void>): void
  unlink(path: string, done: Done<void>): void
  /** Of the path itself: a link is not followed. */
  stat(path: string, done: Done<FileFacts>): void
  readdir(path: string, done: Done<string[]>): void
  statfs(path: string, done: Done<FsFacts>): void
  /** `path` is the LOCK file (made if absent). EWOULDBLOCK: somebody else has it; ENOTSUP: not this method here. */
  lock(path: string, method: LockMethod, done: Done<Release>): void
}
