/** wal.md 2.1, 2.2: what stands in LOCK. */
import { describe, expect, it } from 'vitest'
import { decodeLockOwner, encodeLockOwner, OWNER_TEXT_BYTES } from '../../../lib/wal/lock/owner-text.js'

const HOST = { pid: 41, host: 'machine', bootId: 'boot', userId: 0, version: '1.0.0' }

describe('the text of LOCK', () => {
  it('2.2: says pid, host, boot and incarnation in a file that never grows or shrinks', () => {
    for (const incarnation of [0, 4_294_967_295]) {
      const bytes = encodeLockOwner(HOST, incarnation)
      expect(bytes.length).toBe(OWNER_TEXT_BYTES)
      expect(Buffer.from(bytes).toString().endsWith('\n')).toBe(true)
      expect(decodeLockOwner(bytes)).toEqual({ pid: 41, host: 'machine', bootId: 'boot', incarnation })
    }
  })

  it('2.2: a name that is too long is cut, never the text', () => {
    const bytes = encodeLockOwner({ ...HOST, host: 'h'.repeat(600), bootId: 'b'.repeat(600) }, 1)
    expect(decodeLockOwner(bytes)?.host).toBe('h'.repeat(253))
  })

  it('2.2: an empty, torn or foreign text names nobody', () => {
    const bytes = encodeLockOwner(HOST, 1)
    for (const other of [
      new Uint8Array(0),
      bytes.subarray(0, 20),
      new Uint8Array(512),
      Buffer.from('null'),
      Buffer.from('{"pid":"x"}'),
    ])
      expect(decodeLockOwner(other)).toBeNull()
  })
})
