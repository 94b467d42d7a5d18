/**
 * The lock of a SQLite file: an exclusive transaction on LOCK.db that never ends.
 * Why a file of its own: SQLite locks by fcntl, which gives a lock up when *any* descriptor of the file is closed by
 * this process, so nobody else may open it, and LOCK is read for its text.
 * Needs node:sqlite (Node 22.13, 24). Source: wal.md 2.2; sqlite.org/lockingv3.html.
 */
import { chmod, link, lstat, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Release } from '../fs.js'
import { notHere, refused, systemError } from './system-errors.js'

interface Database {
  exec(sql: string): void
  close(): void
}
interface Sqlite {
  DatabaseSync: new (path: string) => Database
}

/** SQLITE_BUSY. */
const BUSY = 5

export async function lockBySqlite(path: string): Promise<Release> {
  // Asked for by name, because an import of a module that older releases do not know would end the program there.
  const sqlite = process.getBuiltinModule?.('node:sqlite' as 'node:fs') as unknown as Sqlite | undefined
  if (sqlite === undefined) throw notHere('sqlite', `Node.js ${process.version} has no node:sqlite`)
  const file = join(dirname(path), 'LOCK.db')
  await makeFile(file)
  const database = new sqlite.DatabaseSync(file)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    throw (error as { errcode?: number }).errcode === BUSY ? refused(path) : error
  }
  return () => database.close()
}

/**
 * There with 0600 before SQLite sees it, which gives its journal the same rights. Made under another name and linked:
 * no descriptor of LOCK.db is ever closed here, or a lock that another thread of this process holds would go with it.
 */
async function makeFile(file: string): Promise<void> {
  const draft = `${file}.${process.pid}-${process.hrtime.bigint()}.tmp`
  await writeFile(draft, '', { flag: 'wx', mode: 0o600 })
  try {
    await link(draft, file)
  } catch (error) {
    // ENOENT: the owner of this moment has swept the draft away, so LOCK.db is there.
    if (!['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    // `force`: the owner of this moment may have swept it away.
    await rm(draft, { force: true })
  }
  if ((await lstat(file)).isSymbolicLink()) throw systemError('ELOOP', `${file} is a symbolic link`)
  await chmod(file, 0o600)
}
