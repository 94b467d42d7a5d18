/**
 * The lock of a SQLite file: an exclusive transaction on LOCK.db that never ends.
 * Why a file of its own: SQLite locks by fcntl, which gives a lock up when *any* descriptor of the file is closed by
 * this process, so nobody else may open it, and LOCK is read for its text.
 * Needs node:sqlite (Node 22.13, 24). Source: wal.md 2.2; sqlite.org/lockingv3.html.
 */
import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Release } from '../fs.js'
import { notHere, refused } from './system-errors.js'

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
  const database = new sqlite.DatabaseSync(file)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    await promisify(fs.chmod)(file, 0o600)
  } catch (error) {
    database.close()
    throw (error as { errcode?: number }).errcode === BUSY ? refused(path) : error
  }
  return () => database.close()
}
