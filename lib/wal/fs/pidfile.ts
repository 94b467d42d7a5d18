/**
 * The last resort: a file that names its owner, made by an exclusive link so that it never exists without its text.
 * Files are numbered (LOCK.1.pid, LOCK.2.pid ...) and the highest number owns the directory: taking over from a dead
 * owner is making the next number, which only one of many can do. Who finds a higher number after making its own gives
 * way, so a taker that was slow between reading and making changes nothing. (Deleting the dead owner's file and making
 * it again would let a second taker delete the first one's.) Source: wal.md 2.2; proof of death: lock/pid-owner.ts.
 */
import fs from 'node:fs'
import { link, readdir, readFile, readlink, statfs, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { Release } from '../fs.js'
import { decodePidOwner, encodePidOwner, isProvablyGone, type PidFacts, type PidOwner } from '../lock/pid-owner.js'
import { bootIdOf } from './boot-id.js'
import { remoteNameOf } from './remote.js'
import { refused } from './system-errors.js'

const NAME = /^LOCK\.([1-9]\d{0,14})\.pid$/

export async function lockByPidfile(path: string): Promise<Release> {
  const dir = dirname(path)
  const highest = highestOf(await readdir(dir))
  if (highest > 0) await refuseUnlessGone(join(dir, nameOf(highest)), dir, path)
  const file = join(dir, nameOf(highest + 1))
  await makeExclusively(file, encodePidOwner(await self()), path)
  const names = await readdir(dir)
  if (highestOf(names) > highest + 1) {
    await unlink(file)
    throw refused(path)
  }
  for (const name of names) if (numberOf(name) > 0 && numberOf(name) <= highest) await unlinkIfThere(join(dir, name))
  return () => fs.rmSync(file, { force: true })
}

const nameOf = (number: number) => `LOCK.${number}.pid`
const numberOf = (name: string) => Number(NAME.exec(name)?.[1] ?? 0)
const highestOf = (names: readonly string[]) => Math.max(0, ...names.map(numberOf))

async function refuseUnlessGone(file: string, dir: string, path: string): Promise<void> {
  const text = await readIfThere(file)
  // Released between listing and reading: its number is free to be followed.
  if (text === null) return
  const owner = decodePidOwner(text)
  if (owner === null || !isProvablyGone(owner, await factsHere(dir))) throw refused(path)
}

async function makeExclusively(file: string, text: string, path: string): Promise<void> {
  const draft = `${file}.${process.pid}-${process.hrtime.bigint()}.tmp`
  await writeFile(draft, text, { flag: 'wx', mode: 0o600 })
  try {
    await link(draft, file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // ENOENT: the owner of this moment has swept our draft away.
    throw code === 'EEXIST' || code === 'ENOENT' ? refused(path) : error
  } finally {
    await unlinkIfThere(draft)
  }
}

async function self(): Promise<PidOwner> {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: bootIdOf(process.platform),
    namespace: await namespaceHere(),
    startedAt: startOf(process.pid) ?? '',
  }
}

async function factsHere(dir: string): Promise<PidFacts> {
  const { type } = await statfs(dir)
  return {
    self: { host: hostname(), bootId: bootIdOf(process.platform), namespace: await namespaceHere() },
    isLocal: remoteNameOf(process.platform, type, dir) === null,
    startOf,
  }
}

async function namespaceHere(): Promise<string> {
  return process.platform === 'linux' ? readlink('/proc/self/ns/pid') : ''
}

/** Linux: clock ticks since boot, field 22 of /proc/<pid>/stat, counted after the name (which may hold anything). */
function startOf(pid: number): string | null {
  if (!isAlive(pid)) return null
  if (process.platform !== 'linux') return ''
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state = '', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    // Dead and not yet asked for by its parent; with further threads one of them may still be inside a write.
    if ('ZX'.includes(state) && Number(fields[16]) <= 1) return null
    return fields[18] ?? ''
  } catch {
    return isAlive(pid) ? '' : null // It ended meanwhile, or /proc hides it: then nothing is known but that it lives.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function unlinkIfThere(file: string): Promise<void> {
  try {
    await unlink(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
