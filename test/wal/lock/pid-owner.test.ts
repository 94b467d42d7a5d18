/** wal.md 2.2: a pid file is taken over only from an owner that is provably gone; the whole table of facts. */
import { describe, expect, it } from 'vitest'
import {
  decodePidOwner,
  encodePidOwner,
  isProvablyGone,
  type PidFacts,
  type PidOwner,
} from '../../../lib/wal/lock/pid-owner.js'

const OWNER: PidOwner = { pid: 7, host: 'here', bootId: 'boot', namespace: 'pid:[1]', startedAt: '100' }
const SELF = { host: 'here', bootId: 'boot', namespace: 'pid:[1]' }

function isGone(
  owner: Partial<PidOwner>,
  facts: Partial<Omit<PidFacts, 'self'>> & { self?: Partial<typeof SELF> } = {},
) {
  const { isLocal = true, startOf = () => null } = facts
  return isProvablyGone({ ...OWNER, ...owner }, { self: { ...SELF, ...facts.self }, isLocal, startOf })
}

describe('the owner of a pid file', () => {
  it.each<[boolean, string, Parameters<typeof isGone>]>([
    [true, 'its process does not exist', [{}]],
    [false, 'its process runs', [{}, { startOf: () => '100' }]],
    [true, 'its number belongs to a later process', [{}, { startOf: () => '101' }]],
    [false, 'a process of that number runs, started nobody knows when', [{}, { startOf: () => '' }]],
    [false, 'a process of that number runs, the file says no start', [{ startedAt: '' }, { startOf: () => '100' }]],
    [false, 'its number is of another set', [{ namespace: 'pid:[2]' }]],
    [false, 'its set of numbers is unknown', [{ namespace: '' }]],
    [true, 'the machine was booted since', [{ bootId: 'before' }, { startOf: () => '100' }]],
    [true, 'another machine had the local disk before', [{ bootId: 'other', host: 'there' }]],
    [
      false,
      'another machine may be running on the shared disk',
      [{ bootId: 'other', host: 'there' }, { isLocal: false }],
    ],
    [true, 'this machine was booted since, the disk is shared', [{ bootId: 'before' }, { isLocal: false }]],
    [true, 'no boot is known, the process of this host does not exist', [{ bootId: '' }]],
    [false, 'no boot is known, the process of this host runs', [{ bootId: '' }, { startOf: () => '100' }]],
    [false, 'no boot is known, it was on another host', [{ bootId: '', host: 'there' }]],
    [false, 'our boot is unknown, it was on another host', [{ host: 'there' }, { self: { bootId: '' } }]],
  ])('2.2: gone is %s when %s', (expected, _when, args) => {
    expect(isGone(...args)).toBe(expected)
  })

  it('2.2: survives its file, and whatever else stands there is nobody', () => {
    expect(decodePidOwner(encodePidOwner(OWNER))).toEqual(OWNER)
    expect(decodePidOwner('{"pid": 3}')).toEqual({ pid: 3, host: '', bootId: '', namespace: '', startedAt: '' })
    for (const text of ['', 'null', '{}', '{"pid":"3"}', encodePidOwner(OWNER).slice(0, 20)])
      expect(decodePidOwner(text)).toBeNull()
  })
})
