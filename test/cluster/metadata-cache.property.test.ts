import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MetadataAnswer, MetadataCache } from '../../lib/cluster/metadata-cache.js'

const ids = ['AAAAAAAAAAAAAAAAAAAAAQ', 'AAAAAAAAAAAAAAAAAAAAAg']

function answer(topicId: string, errorCode: number, partitions: readonly { leaderId: number; leaderEpoch: number }[]) {
  return {
    throttleTimeMs: 0,
    brokers: [{ nodeId: 1, host: 'h', port: 1, rack: null }],
    clusterId: 'c',
    controllerId: 1,
    clusterAuthorizedOperations: 0,
    errorCode: 0,
    topics: [
      {
        errorCode,
        name: 't',
        topicId,
        isInternal: false,
        topicAuthorizedOperations: 0,
        partitions: partitions.map((one, partitionIndex) => ({
          ...one,
          errorCode: 0,
          partitionIndex,
          replicaNodes: [1],
          isrNodes: [1],
          offlineReplicas: [],
        })),
      },
    ],
  } satisfies MetadataAnswer
}

const partition = fc.record({ leaderId: fc.integer({ min: -1, max: 3 }), leaderEpoch: fc.integer({ min: 0, max: 9 }) })
const step = fc.oneof(
  fc.record({
    kind: fc.constant('answer' as const),
    topicId: fc.constantFrom(...ids),
    errorCode: fc.constantFrom(0, 0, 0, 3, 5),
    partitions: fc.array(partition, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('hint' as const), index: fc.nat(5), to: partition }),
)

describe('MetadataCache', () => {
  it('W-25, W-26: under one topic id no leader epoch goes back, no partition vanishes, no leader changes within an epoch', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const cache = new MetadataCache()
        for (const one of steps) {
          const before = cache.topic('t')
          if (one.kind === 'hint') cache.applyHint('t', one.index, one.to.leaderId, one.to.leaderEpoch, [])
          else cache.apply(answer(one.topicId, one.errorCode, one.errorCode === 0 ? one.partitions : []))
          const after = cache.topic('t')
          expect(after?.partitions.every(({ partition: number }, index) => number === index) ?? true).toBe(true)
          if (before === undefined || before.topicId !== after?.topicId) continue
          expect(after.partitions.length).toBeGreaterThanOrEqual(before.partitions.length)
          for (const [index, old] of before.partitions.entries()) {
            const now = after.partitions[index]
            expect(now?.leaderEpoch).toBeGreaterThanOrEqual(old.leaderEpoch)
            if (now?.leaderEpoch === old.leaderEpoch && old.leaderId >= 0) expect(now.leaderId).toBe(old.leaderId)
          }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('a malformed answer leaves everything as it was', () => {
    const cache = new MetadataCache()
    cache.apply(answer(ids[0] as string, 0, [{ leaderId: 1, leaderEpoch: 1 }]))
    const before = cache.topic('t')
    const bad = answer(ids[1] as string, 0, [{ leaderId: 2, leaderEpoch: 9 }])
    for (const one of bad.topics[0]?.partitions ?? []) one.partitionIndex = 2 ** 31 - 1
    expect(() => cache.apply(bad)).toThrow('not 0..0')
    expect(cache.topic('t')).toBe(before)
  })
})
