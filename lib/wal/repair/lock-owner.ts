/** Who LOCK names, for people. It says who was the last to take the lock, never that he still has it. */
import { LOCK_NAME } from '../format/manifest.js'
import { decodeLockOwner, type LockOwner, OWNER_TEXT_BYTES } from '../lock/owner-text.js'
import { Disk } from '../open/disk.js'
import type { WalParts } from '../types.js'

/** null: nobody has written his name. */
export async function lockOwnerOf(parts: WalParts, dir: string): Promise<LockOwner | null> {
  const text = await new Disk(parts.fs).readFile(`${dir}/${LOCK_NAME}`, OWNER_TEXT_BYTES)
  return text === null ? null : decodeLockOwner(text)
}
