/**
 * Directories this process holds locks of, by device and inode.
 * Why beside the system's lock: it refuses a second opening of the same directory under another path at once, without
 * a helper process, and where the lock file was deleted meanwhile. Worker threads have one each; between them the
 * system's lock decides. Source: wal.md 2.2.
 */
const held = new Set<string>()

/** False: this process has it. */
export function register(device: number, inode: number): boolean {
  const key = `${device}:${inode}`
  if (held.has(key)) return false
  held.add(key)
  return true
}

export function unregister(device: number, inode: number): void {
  held.delete(`${device}:${inode}`)
}
