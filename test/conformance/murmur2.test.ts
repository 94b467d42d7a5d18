import { expect, it } from 'vitest'
import { murmur2 } from '../../lib/producer/murmur2.js'
import { keyedPartition } from '../../lib/producer/partitioner.js'
import { hasVectors, vectors } from '../support/vectors.js'

interface Murmur2Vectors {
  readonly partitionCounts: readonly number[]
  readonly cases: readonly { readonly key: string; readonly murmur2: number; readonly partitions: readonly number[] }[]
}

it.skipIf(!hasVectors)('P-15, PR-7: every key of the vectors gives the hash and partitions of the Java client', () => {
  const { partitionCounts, cases } = vectors('murmur2.json') as Murmur2Vectors
  expect(cases.length).toBeGreaterThan(100)
  for (const { key, murmur2: hash, partitions } of cases) {
    const bytes = Buffer.from(key, 'hex')
    expect(murmur2(bytes), key).toBe(hash)
    expect(partitionCounts.map((count) => keyedPartition(bytes, count))).toEqual(partitions)
  }
})
