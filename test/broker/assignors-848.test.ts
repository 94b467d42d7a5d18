/** The broker's assignors for KIP-848 groups: shares, stickiness, and what they answered on a real 4.1.1 in special cases. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type AssignedMember, assignTargets, type Targets } from '../../lib/broker/groups/kip848/assignors.js'
import { compilePattern } from '../../lib/broker/groups/kip848/pattern.js'

const member = (memberId: string, topicIds: string[], had: string[] = []): AssignedMember => {
  return { memberId, topicIds: new Set(topicIds), had: new Set(had) }
}
const plain = (targets: Targets) => Object.fromEntries([...targets].map(([id, keys]) => [id, [...keys].sort()]))

describe('uniform', () => {
  it('gives runs to newcomers and takes the highest from those who have too much', () => {
    const counts = new Map([['t', 5]])
    const first = assignTargets('uniform', [member('a', ['t']), member('b', ['t'])], counts)
    expect(plain(first)).toEqual({ a: ['t/0', 't/1', 't/2'], b: ['t/3', 't/4'] })
    const had = (id: string) => [...(first.get(id) ?? [])]
    const third = [member('a', ['t'], had('a')), member('b', ['t'], had('b')), member('c', ['t'])]
    expect(plain(assignTargets('uniform', third, counts))).toEqual({ a: ['t/0', 't/1'], b: ['t/3', 't/4'], c: ['t/2'] })
  })

  it('lets who has more keep the odd one, whatever the order', () => {
    const members = [member('poor', ['t'], ['t/2']), member('rich', ['t'], ['t/0', 't/1'])]
    expect(plain(assignTargets('uniform', members, new Map([['t', 3]])))).toEqual({
      poor: ['t/2'],
      rich: ['t/0', 't/1'],
    })
  })

  it('balances members that want different topics by single moves', () => {
    const counts = new Map([['t', 4]]).set('u', 2)
    const members = [member('1', ['t', 'u'], ['t/0', 't/1', 't/2', 't/3', 'u/0', 'u/1']), member('2', ['u'])]
    expect(plain(assignTargets('uniform', members, counts))).toEqual({
      1: ['t/0', 't/1', 't/2', 't/3'],
      2: ['u/0', 'u/1'],
    })
  })
})

describe('range', () => {
  it('shares each topic apart', () => {
    const counts = new Map([['t', 3]]).set('u', 3)
    const members = ['a', 'b'].map((id) => member(id, ['t', 'u']))
    expect(plain(assignTargets('range', members, counts))).toEqual({
      a: ['t/0', 't/1', 'u/0', 'u/1'],
      b: ['t/2', 'u/2'],
    })
  })

  it('gives a topic to its subscribers only', () => {
    const members = [member('a', ['t', 'u']), member('b', ['t'])]
    const targets = assignTargets('range', members, new Map([['t', 2]]).set('u', 2))
    expect(plain(targets)).toEqual({ a: ['t/0', 'u/0', 'u/1'], b: ['t/1'] })
  })
})

describe('both, by property', () => {
  const group = fc.record({
    name: fc.constantFrom('uniform' as const, 'range' as const),
    counts: fc.dictionary(fc.constantFrom('t', 'u', 'v'), fc.integer({ min: 1, max: 9 }), { minKeys: 1 }),
    wishes: fc.array(fc.subarray(['t', 'u', 'v']), { minLength: 1, maxLength: 6 }),
    later: fc.array(fc.subarray(['t', 'u', 'v']), { minLength: 1, maxLength: 6 }),
    alike: fc.boolean(),
  })

  it('every partition somebody wants has one owner who wants it; equal wishes give equal shares; asking again moves nothing', () => {
    fc.assert(
      fc.property(group, ({ name, counts: wanted, wishes, later, alike }) => {
        const counts = new Map(Object.entries(wanted))
        let targets: Targets = new Map()
        for (const round of [wishes, later]) {
          const topics = (index: number) => (alike ? round[0] : round[index]) as string[]
          const make = () =>
            round.map((_, index) => member(`m${index}`, topics(index), [...(targets.get(`m${index}`) ?? [])]))
          targets = assignTargets(name, make(), counts)
          checkOwners(targets, make(), counts)
          expect(plain(assignTargets(name, make(), counts))).toEqual(plain(targets))
          if (alike && name === 'uniform') {
            const loads = [...targets.values()].map(({ size }) => size)
            expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

function checkOwners(targets: Targets, members: readonly AssignedMember[], counts: ReadonlyMap<string, number>): void {
  const owned = [...targets].flatMap(([memberId, keys]) => [...keys].map((key) => ({ memberId, key })))
  const wanted = [...counts].flatMap(([topicId, count]) => {
    const isWanted = members.some(({ topicIds }) => topicIds.has(topicId))
    return isWanted ? Array.from({ length: count }, (_, at) => `${topicId}/${at}`) : []
  })
  expect(owned.map(({ key }) => key).sort()).toEqual(wanted.sort())
  for (const { memberId, key } of owned) {
    expect(members.find((one) => one.memberId === memberId)?.topicIds.has(key.split('/')[0] as string)).toBe(true)
  }
}

describe('patterns', () => {
  it.each([
    ['orders-.*', ['orders-eu'], ['orders', 'my-orders-eu', 'orders-eu\n']],
    ['(?i)ORDERS', ['orders', 'Orders'], ['orders2']],
    ['[[:alpha:]_]+', ['a_b'], ['a1']],
    ['[^[:digit:]]+', ['ab'], ['a1']],
    ['\\Qa.b\\E+', ['a.b', 'a.bb'], ['axb']],
    ['(?P<x>a|b)c', ['ac', 'bc'], ['cc']],
    ['x{2,3}', ['xx', 'xxx'], ['x']],
    ['a{,2}', ['a{,2}'], ['aa']],
    ['a{', ['a{'], ['a']],
    ['\\pLx', ['Lx'], ['1x']],
    ['\\Aa\\z', ['a'], ['ab']],
    ['a\\-b', ['a-b'], ['ab']],
    ['[a\\-z]', ['-'], ['b']],
    ['[]a]', [']', 'a'], ['b']],
    ['', [''], ['a']],
  ])('RE2: %s matches whole names', (pattern, yes, no) => {
    const expression = compilePattern(pattern) as RegExp
    expect(yes.filter((name) => !expression.test(name))).toEqual([])
    expect(no.filter((name) => expression.test(name))).toEqual([])
  })

  it.each([
    'a(?=b)',
    '(?!a)',
    '(?<=a)b',
    '(a)\\1',
    'a**',
    'a{1001}',
    '\\y',
    '\\',
    '[',
    '(',
    '*',
    '[[:nope:]]',
    '\\u0041',
  ])('RE2: %s is refused', (pattern) => {
    expect(compilePattern(pattern)).toBeNull()
  })
})
