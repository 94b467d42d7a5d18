/**
 * A new MANIFEST for a directory that lost its own, from what every segment says of itself.
 * What segments do not say: the lock method (told by what the methods leave behind: LOCK.db, LOCK.<n>.pid; else the
 * first that this machine has) and who owns the log (told by its streams; where no frame names one, by the operator).
 * Source: wal.md 2.1, 2.3, 5.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { FORMAT_MAJOR, FORMAT_MINOR } from '../format/constants.js'
import { decodeManifest, encodeManifest, MANIFEST_MAX_BYTES, MANIFEST_NAME, type Manifest } from '../format/manifest.js'
import type { SegmentHeader } from '../format/segment-header.js'
import type { LockMethod } from '../fs.js'
import { Disk } from '../open/disk.js'
import { acquireLock } from '../open/lock.js'
import type { WalOwner, WalParts } from '../types.js'
import { copyAside } from './copy-aside.js'
import { nothingToDo, type RepairPlan } from './plan.js'
import { ownerOf, readSegmentHeaders } from './segment-headers.js'

/**
 * `owner`: where the segments do not tell.
 * @throws MQError WAL_SEGMENT_MISSING, WAL_VERSION, WAL_CORRUPT: two logs in one directory, WAL_MANIFEST_MISSING: the
 * owner is not known
 */
export async function planRebuildManifest(
  parts: WalParts,
  dir: string,
  options: { readonly owner?: WalOwner } = {},
): Promise<RepairPlan> {
  const disk = new Disk(parts.fs)
  const present = await disk.readFile(`${dir}/${MANIFEST_NAME}`, MANIFEST_MAX_BYTES)
  if (present !== null && isGood(present)) return nothingToDo('MANIFEST is there and undamaged')
  const headers = await readSegmentHeaders(disk, dir)
  const owner = options.owner ?? (await ownerOf(parts.fs, dir, headers))
  if (owner === null) throw unknownOwner(dir)
  const lock = lockLeftIn(await disk.readdir(dir))
  const line = (method: LockMethod) => Buffer.from(encodeManifest(manifestOf(headers, owner, method))).toString()
  const steps = [`write MANIFEST: ${line(lock ?? 'flock').split('\n')[0]}`]
  return {
    steps,
    warnings: lock === null ? ['the lock method is not known any more: be sure that nobody has this log open'] : [],
    copies: present === null ? [] : [MANIFEST_NAME],
    apply: async () => {
      const { method, release } = await acquireLock(disk, parts.fs, dir, lock, undefined)
      try {
        const report = { repair: 'rebuild-manifest', steps }
        const copies = await copyAside(disk, dir, present === null ? [] : [MANIFEST_NAME], parts.clock.now(), report)
        const text = Buffer.from(line(method))
        await disk.replaceFile(dir, MANIFEST_NAME, (fd, draft) => disk.write(fd, draft, text, 0))
        return { copies }
      } finally {
        release()
      }
    },
  }
}

function isGood(bytes: Uint8Array): boolean {
  try {
    decodeManifest(bytes)
    return true
  } catch (error) {
    if ((error as MQError).context?.reason === 'WAL_VERSION') throw error // Not damaged: somebody else's release.
    return false
  }
}

function manifestOf(headers: readonly SegmentHeader[], owner: WalOwner, lock: LockMethod): Manifest {
  const [first] = headers as [SegmentHeader, ...SegmentHeader[]]
  const { walId, segmentBytes, sectorBytes } = first
  return {
    format: 'tandem-mq-wal',
    major: FORMAT_MAJOR,
    minor: FORMAT_MINOR,
    walId: Buffer.from(walId).toString('hex'),
    owner,
    segmentBytes,
    sectorBytes,
    lock,
    createdAtMs: Math.min(...headers.map(({ createdAtMs }) => createdAtMs)),
  }
}

/** null: `flock` and `pipe` leave nothing that only they would leave. */
export function lockLeftIn(names: readonly string[]): LockMethod | null {
  if (names.includes('LOCK.db')) return 'sqlite'
  return names.some((name) => /^LOCK\.\d+\.pid$/.test(name)) ? 'pidfile' : null
}

function unknownOwner(dir: string): MQError {
  const text = `no frame in ${dir} tells whether a producer or a queue owns it: say so with --owner producer or --owner queue`
  return walError('WAL_MANIFEST_MISSING', text, { path: dir })
}
