/** The few calls of a reader as promises: reading is not the hot path, a window of 4 MiB is worth one promise. */
import type { WalFs } from '../fs.js'

export function openFile(fs: WalFs, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, 'read', (error, fd) => (error === null ? resolve(fd as number) : reject(error)))
  })
}

/** Bytes read; fewer than asked for only at the end of the file. */
export function readAt(fs: WalFs, fd: number, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, position, (error, bytes) => (error === null ? resolve(bytes as number) : reject(error)))
  })
}

/** What was only read has nothing to lose: an error of closing says nothing about the data. */
export function closeFile(fs: WalFs, fd: number): Promise<void> {
  return new Promise((resolve) => fs.close(fd, () => resolve()))
}

export function listDirectory(fs: WalFs, dir: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    fs.readdir(dir, (error, names) => (error === null ? resolve(names as string[]) : reject(error)))
  })
}
