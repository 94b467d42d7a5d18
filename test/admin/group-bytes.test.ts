/** Bytes that other libraries wrote never make a description fail. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readAssignment } from '../../lib/admin/group-bytes.js'
import { encodeAssignment } from '../../lib/consumer/group/consumer-protocol.js'

it('AD-2: reads what a leader wrote, in order of topic and partition', () => {
  const bytes = encodeAssignment([
    { topic: 'b', partition: 1 },
    { topic: 'a', partition: 10 },
    { topic: 'a', partition: 2 },
  ])
  expect(readAssignment(bytes)).toEqual([
    { topic: 'a', partition: 2 },
    { topic: 'a', partition: 10 },
    { topic: 'b', partition: 1 },
  ])
})

it('AD-2: any other bytes are an empty or some assignment, never a throw', () => {
  expect(readAssignment(new Uint8Array())).toEqual([])
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => Array.isArray(readAssignment(bytes))))
})
