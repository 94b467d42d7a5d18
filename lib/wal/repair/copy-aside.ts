/**
 * Copies of what a repair changes, in `quarantine/`, with a report that says what it was for.
 * Invariant: when this returns the copies are on the disk under their names; an older copy is never overwritten,
 * because names carry the time and files are created exclusively. Source: wal.md 2.1, 5.
 */
import { QUARANTINE_NAME } from '../format/manifest.js'
import { type Disk, orNull } from '../open/disk.js'

const CHUNK_BYTES = 1 << 20

export interface CopyReport {
  /** The option of `tandem-mq wal repair` that asked for it. */
  readonly repair: string
  readonly steps: readonly string[]
}

/** Paths of the copies and, last, of the report. Files that are not there are left out. */
export async function copyAside(
  disk: Disk,
  dir: string,
  names: readonly string[],
  nowMs: number,
  report: CopyReport,
): Promise<string[]> {
  const target = `${dir}/${QUARANTINE_NAME}`
  await disk.mkdir(target)
  const stamp = new Date(nowMs).toISOString().replace(/[-:.]/g, '')
  const made: string[] = []
  for (const name of names) {
    const copy = `${target}/${report.repair}-${stamp}-${name}`
    if (await copyFile(disk, `${dir}/${name}`, copy)) made.push(copy)
  }
  const text = { ...report, atMs: nowMs, copies: made.map((path) => path.slice(target.length + 1)) }
  const path = `${target}/${report.repair}-${stamp}.json`
  await writeNew(disk, path, (fd) => disk.write(fd, path, Buffer.from(`${JSON.stringify(text)}\n`), 0))
  await disk.fsyncDir(target)
  await disk.fsyncDir(dir)
  return [...made, path]
}

/** False: there is no such file. */
async function copyFile(disk: Disk, from: string, to: string): Promise<boolean> {
  const source = await orNull(disk.open(from, 'read'), 'ENOENT')
  if (source === null) return false
  await disk.closing(source, from, () =>
    writeNew(disk, to, async (target) => {
      const chunk = new Uint8Array(CHUNK_BYTES)
      for (let at = 0; ; at += chunk.length) {
        const read = await disk.read(source, from, chunk, at)
        await disk.write(target, to, chunk.subarray(0, read), at)
        if (read < chunk.length) return
      }
    }),
  )
  return true
}

async function writeNew(disk: Disk, path: string, fill: (fd: number) => Promise<void>): Promise<void> {
  const fd = await disk.open(path, 'create')
  await disk.closing(fd, path, async () => {
    await fill(fd)
    await disk.fdatasync(fd, path)
  })
}
