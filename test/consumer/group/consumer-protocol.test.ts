import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  groupMember,
  userDataOf,
} from '../../../lib/consumer/group/consumer-protocol.js'
import { MQError } from '../../../lib/errors/index.js'
import { fixture, hex, unhex } from '../../support/vectors.js'
import { names, tps } from './assignor-support.js'

/** Made by Java: scripts/assignors/AssignorVectors.java. */
interface JavaSubscription {
  readonly version: number
  readonly topics: string[]
  readonly owned: Record<string, number[]>
  readonly generation: number
  readonly rack: string | null
  readonly userData: string | null
  readonly userDataOf: 'sticky' | 'cooperative-sticky' | null
  readonly hex: string
}
interface JavaAssignment {
  readonly version: number
  readonly partitions: [string, number][]
  readonly hex: string
}
const subscriptions: JavaSubscription[] = fixture('assignors.json').subscriptions
const assignments: JavaAssignment[] = fixture('assignors.json').assignments

const partitionsOf = (owned: Record<string, number[]>) =>
  Object.entries(owned).flatMap(([topic, all]) => all.map((partition) => ({ topic, partition })))
const optionalBytes = (text: string | null) => (text === null ? null : unhex(text))
const plain = (bytes: Uint8Array | null) => (bytes === null ? null : hex(bytes))

describe('C-23: subscriptions', () => {
  it('version 3 has the bytes that Java writes, whatever the order of what is given', () => {
    const latest = subscriptions.filter(({ version }) => version === 3)
    expect(latest).toHaveLength(6)
    for (const { topics, owned, generation, rack, userData, hex: expected } of latest) {
      const input = { generation, rackId: rack, userData: optionalBytes(userData) }
      const bytes = encodeSubscription({
        ...input,
        topics: [...topics].reverse(),
        owned: partitionsOf(owned).reverse(),
      })
      expect(hex(bytes)).toBe(expected)
    }
  })

  it('reads what Java writes in versions 0..3, and what they do not tell as unknown', () => {
    expect(subscriptions).toHaveLength(24)
    for (const one of subscriptions) {
      const { userData, ...read } = decodeSubscription(unhex(one.hex))
      expect(read).toEqual({
        version: one.version,
        topics: one.topics,
        owned: one.version >= 1 ? partitionsOf(one.owned) : [],
        generation: one.version >= 2 ? one.generation : -1,
        rackId: one.version >= 3 ? one.rack : null,
      })
      expect(plain(userData)).toBe(one.userData)
    }
  })

  it('reads a version that is not known yet by the fields that are', () => {
    const bytes = encodeSubscription({ topics: ['a'], owned: tps('a1'), generation: 9, rackId: 'r' })
    const newer = Buffer.concat([bytes, Buffer.from('what comes in version 4')])
    newer.writeInt16BE(4)
    expect(decodeSubscription(newer)).toEqual({ ...decodeSubscription(bytes), version: 4 })
  })

  it('a version 1 that ends after the user data is one without owned partitions', () => {
    // Some client libraries have written it so for years.
    const bytes = unhex('0001' + '00000001' + '000161' + 'ffffffff')
    expect(decodeSubscription(bytes)).toMatchObject({ version: 1, topics: ['a'], owned: [], generation: -1 })
  })

  it('names each topic and partition once', () => {
    const bytes = encodeSubscription({ topics: ['a', 'a'], owned: tps('a1 a1'), generation: 1, rackId: null })
    expect(decodeSubscription(bytes)).toMatchObject({ topics: ['a'], owned: tps('a1') })
  })
})

describe('C-23: assignments', () => {
  it('version 0 has the bytes that Java writes', () => {
    const first = assignments.filter(({ version }) => version === 0)
    expect(first).toHaveLength(3)
    for (const { partitions, hex: expected } of first) {
      expect(hex(encodeAssignment(partitions.map(([topic, partition]) => ({ topic, partition }))))).toBe(expected)
    }
  })

  it('reads all of its versions, and no bytes as nothing', () => {
    for (const { partitions, hex: bytes } of assignments) {
      const read = decodeAssignment(unhex(bytes)).map(({ topic, partition }) => `${topic}-${partition}`)
      expect(read.sort()).toEqual(partitions.map(([topic, partition]) => `${topic}-${partition}`).sort())
    }
    expect(decodeAssignment(new Uint8Array(0))).toEqual([])
  })
})

describe('C-24: user data of the sticky assignors', () => {
  const subscription = (userData: Uint8Array | null, generation = -1) => ({
    version: 1,
    topics: ['a'],
    userData,
    owned: tps('a5'),
    generation,
    rackId: null,
  })

  it('is what Java writes', () => {
    expect(plain(userDataOf('cooperative-sticky', [], 43))).toBe('0000002b')
    expect(plain(userDataOf('cooperative-sticky', [], -1))).toBe('ffffffff')
    const java = subscriptions.find((one) => one.userDataOf === 'sticky') as JavaSubscription
    const read = groupMember('sticky', 'm', null, decodeSubscription(unhex(java.hex)))
    expect(read.generation).toBe(42)
    // Java keeps the order in which it was told its partitions; the set is the same.
    const bytes = userDataOf('sticky', read.owned, 42) as Uint8Array
    expect(bytes.length).toBe((java.userData as string).length / 2)
    const names = (owned: typeof read.owned) => owned.map(({ topic, partition }) => `${topic}-${partition}`).sort()
    expect(names(groupMember('sticky', 'm', null, subscription(bytes)).owned)).toEqual(names(partitionsOf(java.owned)))
  })

  it('sticky reads what was owned from it alone, also without a generation (version 0)', () => {
    const bytes = userDataOf('sticky', tps('a2 a1'), 7) as Uint8Array
    const told = groupMember('sticky', 'm', 'i', subscription(bytes, 3))
    expect([names(told.owned), told.generation, told.instanceId]).toEqual(['a1 a2', 7, 'i'])
    const old = groupMember('sticky', 'm', null, subscription(bytes.subarray(0, bytes.length - 4)))
    expect([names(old.owned), old.generation]).toEqual(['a1 a2', -1])
    expect(userDataOf('sticky', [], -1)).toBeNull()
    expect(groupMember('sticky', 'm', null, subscription(null, 3))).toMatchObject({ owned: [], generation: -1 })
  })

  it('cooperative-sticky takes the generation from the subscription, and of a peer on version 1 from it', () => {
    const bytes = userDataOf('cooperative-sticky', [], 12)
    expect(groupMember('cooperative-sticky', 'm', null, subscription(bytes, 3)).generation).toBe(3)
    expect(groupMember('cooperative-sticky', 'm', null, subscription(bytes)).generation).toBe(12)
    expect(names(groupMember('cooperative-sticky', 'm', null, subscription(bytes)).owned)).toBe('a5')
    expect(groupMember('cooperative-sticky', 'm', null, subscription(null)).generation).toBe(-1)
  })

  it('the others have none, and their members own what they say', () => {
    expect([userDataOf('range', tps('a1'), 1), userDataOf('roundrobin', tps('a1'), 1)]).toEqual([null, null])
    expect(groupMember('range', 'm', null, subscription(unhex('ff'), 3))).toMatchObject({ generation: 3 })
  })

  it('costs the member its stickiness when it cannot be read, and nobody else anything', () => {
    const check = (bytes: Uint8Array) => {
      for (const name of ['sticky', 'cooperative-sticky'] as const) groupMember(name, 'm', null, subscription(bytes))
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), check))
    expect(groupMember('sticky', 'm', null, subscription(unhex('7fffffff0001')))).toMatchObject({ owned: [] })
  })
})

describe('C-23: bytes of a peer', () => {
  const readers = { subscription: decodeSubscription, assignment: decodeAssignment } as const
  const kinds = ['subscription', 'assignment'] as const

  it.each([
    ['a version below 0', 'subscription', 'ffff000000000000'],
    ['more topics than bytes', 'subscription', '00037fffffff0001'],
    ['a negative number of topics', 'subscription', '0003fffffff0'],
    ['a topic without a name', 'subscription', '000300000001ffff'],
    ['a topic that is not UTF-8', 'subscription', '0003000000010001ff'],
    ['user data longer than the bytes', 'subscription', '0003000000007fffffff'],
    ['user data of a negative length', 'subscription', '000300000000fffffffe'],
    ['more partitions than bytes', 'assignment', '0000000000010001617fffffff'],
    ['a negative partition', 'assignment', '00000000000100016100000001fffffffe'],
    ['a version alone', 'assignment', '0000'],
  ] as const)('%s is refused by name, without a large allocation', (_, kind, bytes) => {
    const before = process.memoryUsage().heapUsed
    const error = errorOf(() => readers[kind](unhex(bytes)))
    expect(error).toMatchObject({ code: 'INCONSISTENT_GROUP_PROTOCOL', retryable: false, fatal: false })
    expect(error.context).toMatchObject({ reason: 'MALFORMED_FRAME', bytes: bytes.length / 2 })
    expect(error.message).toContain(`malformed ${kind}`)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32 * 1024 * 1024)
  })

  it.each(kinds)('%s: any bytes end in a value or in an MQError', (kind) => {
    const check = (bytes: Uint8Array) => {
      try {
        readers[kind](bytes)
      } catch (error) {
        if (!(error instanceof MQError)) throw error
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check), { numRuns: 2000 })
    for (const { hex: good } of kind === 'subscription' ? subscriptions : assignments) {
      const bytes = unhex(good)
      for (let at = 0; at < bytes.length; at++) {
        check(bytes.subarray(0, at))
        for (const wrong of [0x00, 0x7f, 0x80, 0xff]) check(bytes.with(at, wrong))
      }
    }
  })

  const partition = fc.record({ topic: fc.string({ minLength: 1 }), partition: fc.nat() })
  const owned = fc.uniqueArray(partition, { selector: (tp) => JSON.stringify(tp), maxLength: 20 })

  it('what is written is read', () => {
    const topics = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 9 })
    const more = fc.record({
      generation: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
      rackId: fc.option(fc.string()),
      userData: fc.option(fc.uint8Array()),
    })
    const check = (
      names: string[],
      mine: { topic: string; partition: number }[],
      rest: typeof more extends fc.Arbitrary<infer T> ? T : never,
    ) => {
      const read = decodeSubscription(encodeSubscription({ topics: names, owned: mine, ...rest }))
      const order = (tp: { topic: string; partition: number }) => JSON.stringify(tp)
      expect(read).toMatchObject({
        version: 3,
        topics: [...names].sort(),
        generation: rest.generation,
        rackId: rest.rackId,
      })
      expect(read.owned.map(order).sort()).toEqual(mine.map(order).sort())
      expect(plain(read.userData)).toBe(plain(rest.userData))
      expect(decodeAssignment(encodeAssignment(mine)).map(order).sort()).toEqual(mine.map(order).sort())
    }
    fc.assert(fc.property(topics, owned, more, check))
  })
})

function errorOf(task: () => unknown): MQError {
  try {
    task()
  } catch (error) {
    if (error instanceof MQError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
