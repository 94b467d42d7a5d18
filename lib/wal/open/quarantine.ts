/**
 * Damaged bytes set aside before the log goes on without them: a copy and a report in JSON per range.
 * Why: whoever lost records wants to see what is left of them, and the segment itself will be recycled. Names are made
 * of the range, so that a recovery which is repeated writes the same files again and no others.
 * Bound: copies take at most 64 MiB together; beyond that only reports are kept. Source: wal.md 2.8, 5.
 */
import { QUARANTINE_NAME } from '../format/manifest.js'
import type { Finding } from '../read/survey.js'
import { type Disk, orNull } from './disk.js'

export const QUARANTINE_MAX_BYTES = 64 << 20
const CHUNK_BYTES = 1 << 20

/** What a report says besides the finding. */
export interface QuarantineFacts {
  readonly walId: string
  readonly foundAtMs: number
  readonly host: string
}

export async function quarantine(
  disk: Disk,
  dir: string,
  findings: readonly Finding[],
  facts: QuarantineFacts,
): Promise<void> {
  const into = `${dir}/${QUARANTINE_NAME}`
  await disk.mkdir(into)
  await disk.fsyncDir(dir)
  for (const name of await disk.readdir(into)) if (name.endsWith('.tmp')) await disk.unlink(`${into}/${name}`)
  for (const finding of findings) await setAside(disk, dir, into, finding, facts)
}

async function setAside(
  disk: Disk,
  dir: string,
  into: string,
  finding: Finding,
  facts: QuarantineFacts,
): Promise<void> {
  const source = finding.file
  const name = `${source}-${finding.fromByte}-${finding.toByte}`
  const bytes = finding.toByte - finding.fromByte
  const hasRoom = (await copiedBytes(disk, into, `${name}.bin`)) + bytes <= QUARANTINE_MAX_BYTES
  let unreadableBytes = 0
  if (hasRoom && bytes > 0) {
    const from = await disk.open(`${dir}/${source}`, 'read')
    await disk.closing(from, source, () =>
      disk.replaceFile(into, `${name}.bin`, async (to, draft) => {
        unreadableBytes = await copyRange(disk, from, `${dir}/${source}`, finding, to, draft)
      }),
    )
  }
  const report = { ...facts, ...finding, isCopied: hasRoom, unreadableBytes }
  const text = Buffer.from(`${JSON.stringify(report, null, 2)}\n`)
  await disk.replaceFile(into, `${name}.json`, (fd, draft) => disk.write(fd, draft, text, 0))
}

/** Of all copies but this one, which is written anew. */
async function copiedBytes(disk: Disk, into: string, but: string): Promise<number> {
  let bytes = 0
  for (const name of await disk.readdir(into)) {
    if (name.endsWith('.bin') && name !== but)
      bytes += (await orNull(disk.stat(`${into}/${name}`), 'ENOENT'))?.bytes ?? 0
  }
  return bytes
}

/** Gives how many bytes the disk would not read: they are zeros in the copy. */
async function copyRange(
  disk: Disk,
  from: number,
  source: string,
  range: Finding,
  to: number,
  draft: string,
): Promise<number> {
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, range.toByte - range.fromByte))
  let unreadable = 0
  for (let at = range.fromByte; at < range.toByte; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, range.toByte - at))
    part.fill(0)
    // A sector that cannot be read is the very damage that is set aside.
    if ((await orNull(disk.read(from, source, part, at), 'EIO')) === null) unreadable += part.length
    await disk.write(to, draft, part, at - range.fromByte)
  }
  return unreadable
}
