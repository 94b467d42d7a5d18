/**
 * Whether a directory may hold a log: made if it is missing, refused if somebody else could change or read it.
 * Why so strict: the log holds customers' records and is trusted after a crash; who can write there decides what is
 * delivered. Nothing is changed when it is refused. Source: wal.md 2.1; research 3.8.
 */
import { walError } from '../errors.js'
import { LOCK_NAME, MANIFEST_NAME } from '../format/manifest.js'
import type { FileFacts } from '../fs.js'
import type { HostFacts, WalOptions } from '../types.js'
import { type Disk, orNull } from './disk.js'

const OTHERS_MAY_WRITE = 0o022
const OWNER_MAY_CHANGE = 0o300
const ROOT = 0

/** Before the lock is asked for. @throws MQError WAL_PERMISSION, WAL_NETWORK_FS, or what the disk says */
export async function prepareDirectory(disk: Disk, options: WalOptions, host: HostFacts): Promise<void> {
  const { dir, allowUnsafeDir } = options
  let facts = await orNull(disk.stat(dir), 'ENOENT')
  if (facts === null) {
    await disk.mkdir(dir)
    facts = await disk.stat(dir)
  }
  if (facts.kind === 'symlink' && allowUnsafeDir) facts = await disk.stat(`${dir}/.`)
  checkKind(dir, facts)
  if (!allowUnsafeDir) await checkSafety(disk, dir, facts, host)
  checkWritable(dir, facts, host)
}

/**
 * The names in the directory, once the lock is held: looking at each file is nothing that one who is refused waits for.
 * @throws MQError WAL_PERMISSION: something else stands where a file of the log belongs
 */
export async function checkedNames(disk: Disk, dir: string): Promise<string[]> {
  const names = await disk.readdir(dir)
  for (const name of names) {
    if (isOfLog(name)) checkFile(`${dir}/${name}`, await orNull(disk.stat(`${dir}/${name}`), 'ENOENT'))
  }
  return names
}

function checkKind(dir: string, facts: FileFacts): void {
  if (facts.kind === 'symlink') {
    throw permission(dir, 'is a symbolic link: name the directory itself, or set allowUnsafeDir')
  }
  if (facts.kind !== 'directory') throw permission(dir, `is a ${facts.kind}, not a directory: choose another wal.dir`)
}

async function checkSafety(disk: Disk, dir: string, facts: FileFacts, host: HostFacts): Promise<void> {
  // Windows has neither numbers of users nor these bits.
  if (host.userId >= 0) {
    if (facts.userId !== host.userId) {
      throw permission(
        dir,
        `belongs to user ${facts.userId}, this process runs as ${host.userId}: chown it, or set allowUnsafeDir`,
      )
    }
    if ((facts.mode & OTHERS_MAY_WRITE) !== 0) {
      const mode = facts.mode.toString(8).padStart(4, '0')
      throw permission(dir, `has mode ${mode}, so that others may write to it: chmod 0700 it, or set allowUnsafeDir`)
    }
  }
  const { remote } = await disk.statfs(dir)
  if (remote === null) return
  throw walError(
    'WAL_NETWORK_FS',
    `${dir} is on ${remote}, a file system of another machine or process, which does not keep what a log promises: use a local disk, or set allowUnsafeDir`,
    { path: dir, fileSystem: remote },
  )
}

/** Told before anything is made; a system that knows better (root, access lists) is asked by the first call itself. */
function checkWritable(dir: string, facts: FileFacts, host: HostFacts): void {
  if (host.userId <= ROOT || facts.userId !== host.userId) return
  if ((facts.mode & OWNER_MAY_CHANGE) === OWNER_MAY_CHANGE) return
  const mode = facts.mode.toString(8).padStart(4, '0')
  throw permission(dir, `has mode ${mode}, so that this process may not write to it: chmod 0700 it`)
}

function isOfLog(name: string): boolean {
  return name === MANIFEST_NAME || name === LOCK_NAME || name.endsWith('.wal') || name.endsWith('.seg')
}

function checkFile(path: string, facts: FileFacts | null): void {
  // null: it went between listing and looking; whoever needs it will miss it by name.
  if (facts === null || facts.kind === 'file') return
  const advice = facts.kind === 'symlink' ? 'put the file itself there' : 'move it away'
  throw permission(path, `is a ${facts.kind}, where a file of the log belongs: ${advice}`)
}

function permission(path: string, what: string) {
  return walError('WAL_PERMISSION', `${path} ${what}`, { path })
}
