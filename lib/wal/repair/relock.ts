/**
 * Another lock method for a directory: after a move to a system that lacks the recorded one, or when a pid file names an
 * owner of whom nothing can be proven from here.
 * Invariant: while MANIFEST changes, the old method's lock is held wherever this machine has that method; so whoever
 * read the old MANIFEST is refused by the old lock, and whoever reads the new one by nobody. Where it has not, only the
 * operator can know that nobody writes. Source: wal.md 2.2, 5.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { decodeManifest, encodeManifest, MANIFEST_MAX_BYTES, MANIFEST_NAME, type Manifest } from '../format/manifest.js'
import type { LockMethod } from '../fs.js'
import { decodePidOwner, type PidOwner } from '../lock/pid-owner.js'
import { Disk } from '../open/disk.js'
import { acquireLock } from '../open/lock.js'
import type { WalParts } from '../types.js'
import { copyAside } from './copy-aside.js'
import { nothingToDo, type RepairPlan } from './plan.js'

const PID_FILE = /^LOCK\.\d+\.pid$/
const PID_FILE_MAX_BYTES = 4_096

/**
 * `method`: the wanted one; else the first that this machine has.
 * @throws MQError WAL_LOCKED: somebody has it; WAL_LOCK_METHOD: the wanted one does not exist here; WAL_MANIFEST_MISSING
 */
export async function planRelock(parts: WalParts, dir: string, method?: LockMethod): Promise<RepairPlan> {
  const disk = new Disk(parts.fs)
  const manifest = await readManifest(disk, dir)
  const owners = await pidOwners(disk, dir)
  const state = await probe(parts, disk, dir, manifest.lock)
  if (state === 'held' && !isAnothersPidFile(parts, manifest, owners)) throw locked(dir, manifest, owners)
  const wanted = method ?? (state === 'absent' ? await firstHere(parts, disk, dir) : manifest.lock)
  if (wanted === manifest.lock && state === 'free') {
    return nothingToDo(`the lock method ${wanted} works here and nobody has the log open`)
  }
  const stale = state === 'held' ? owners.map(({ name }) => name) : []
  const steps = [
    ...stale.map((name) => `take ${name} away`),
    ...(wanted === manifest.lock ? [] : [`write MANIFEST with the lock method ${wanted} instead of ${manifest.lock}`]),
  ]
  const copies = [...stale, ...(wanted === manifest.lock ? [] : [MANIFEST_NAME])]
  return {
    steps,
    warnings: warningsOf(state, manifest, owners),
    copies,
    apply: async () => {
      const made = await copyAside(disk, dir, copies, parts.clock.now(), { repair: 'relock', steps })
      for (const name of stale) await disk.unlink(`${dir}/${name}`)
      await disk.fsyncDir(dir)
      if (wanted !== manifest.lock) await change(parts, disk, dir, manifest, wanted, state === 'absent')
      return { copies: made }
    },
  }
}

type LockState = 'free' | 'held' | 'absent'

async function readManifest(disk: Disk, dir: string): Promise<Manifest> {
  const bytes = await disk.readFile(`${dir}/${MANIFEST_NAME}`, MANIFEST_MAX_BYTES)
  if (bytes !== null) return decodeManifest(bytes)
  throw walError('WAL_MANIFEST_MISSING', `${dir} has no MANIFEST: rebuild it first, with --rebuild-manifest`, {
    path: dir,
  })
}

/** Takes the lock for a moment. */
async function probe(parts: WalParts, disk: Disk, dir: string, method: LockMethod): Promise<LockState> {
  try {
    const { release } = await acquireLock(disk, parts.fs, dir, method, undefined)
    release()
    return 'free'
  } catch (error) {
    const { reason } = (error as MQError).context ?? {}
    if (reason === 'WAL_LOCKED') return 'held'
    if (reason === 'WAL_LOCK_METHOD') return 'absent'
    throw error
  }
}

async function firstHere(parts: WalParts, disk: Disk, dir: string): Promise<LockMethod> {
  const { method, release } = await acquireLock(disk, parts.fs, dir, null, undefined)
  release()
  return method
}

interface NamedOwner {
  readonly name: string
  /** null: the file is not one of ours. */
  readonly owner: PidOwner | null
}

async function pidOwners(disk: Disk, dir: string): Promise<NamedOwner[]> {
  const names = (await disk.readdir(dir)).filter((name) => PID_FILE.test(name))
  const found = names.map(async (name) => {
    const text = await disk.readFile(`${dir}/${name}`, PID_FILE_MAX_BYTES)
    return { name, owner: text === null ? null : decodePidOwner(Buffer.from(text).toString()) }
  })
  return Promise.all(found)
}

/** An owner of this very boot of this host is not a matter of opinion: it lives, or the lock would have been taken over. */
function isAnothersPidFile(parts: WalParts, { lock }: Manifest, owners: readonly NamedOwner[]): boolean {
  const { host, bootId } = parts.host
  const isHere = (owner: PidOwner | null) => owner !== null && owner.host === host && owner.bootId === bootId
  return lock === 'pidfile' && owners.length > 0 && !owners.some(({ owner }) => isHere(owner))
}

function warningsOf(state: LockState, { lock }: Manifest, owners: readonly NamedOwner[]): string[] {
  if (state === 'free') return []
  if (state === 'absent') {
    return [`${lock} does not exist here, so nobody can tell from here whether a process has this log open: be sure`]
  }
  return owners.map(
    ({ name, owner }) =>
      `${name} names ${owner === null ? 'nobody that can be read' : `process ${owner.pid} on ${owner.host}`}, of whom nothing can be proven from here: be sure that it is gone`,
  )
}

async function change(
  parts: WalParts,
  disk: Disk,
  dir: string,
  manifest: Manifest,
  method: LockMethod,
  isOldAbsent: boolean,
): Promise<void> {
  // That the new one exists here is proven before the old one is given up.
  const tried = await acquireLock(disk, parts.fs, dir, method, undefined)
  if (!isOldAbsent) tried.release()
  const held = isOldAbsent ? tried : await acquireLock(disk, parts.fs, dir, manifest.lock, undefined)
  try {
    const text = encodeManifest({ ...manifest, lock: method })
    await disk.replaceFile(dir, MANIFEST_NAME, (fd, draft) => disk.write(fd, draft, text, 0))
  } finally {
    held.release()
  }
}

function locked(dir: string, { lock }: Manifest, owners: readonly NamedOwner[]): MQError {
  const [one] = owners
  const who = one?.owner == null ? 'a living process' : `process ${one.owner.pid} on ${one.owner.host}`
  const text = `${dir} is in use by ${who} (${lock}): stop it first; a lock that is held is not taken away`
  return walError('WAL_LOCKED', text, { path: dir })
}
