/** PR-11: what a running producer may be given anew. */
import { describe, expect, it } from 'vitest'
import {
  configWarnings,
  type ProducerUpdate,
  resolveProducerConfig,
  resolveProducerUpdate,
} from '../../lib/config/index.js'
import { issuesOf, refusal } from './refusal.js'
import { allClientRows, producerRows } from './rows.js'

const current = resolveProducerConfig({ clientId: 'shop', acks: 'all', lingerMs: 7, sasl: sasl() })

function sasl() {
  return { mechanism: 'PLAIN' as const, username: 'u', password: 'hunter2' }
}

const CHANGES: readonly [string, ProducerUpdate, object][] = [
  ['lingerMs', { lingerMs: 0 }, { lingerMs: 0 }],
  ['batchBytes', { batchBytes: 1 }, { batchBytes: 1 }],
  ['batchMaxRecords', { batchMaxRecords: 9 }, { batchMaxRecords: 9 }],
  ['compression', { compression: 'zstd' }, { compression: 'zstd' }],
  ['switchStrategy', { switchStrategy: 'size' }, { switchStrategy: 'size' }],
  ['maxInFlight', { maxInFlight: 1 }, { maxInFlight: 1 }],
  ['linger', { linger: 60_000 }, { lingerMs: 60_000 }],
  ['batchSize', { batchSize: 2 }, { batchBytes: 2 }],
  ['maxBatchCount', { maxBatchCount: 3 }, { batchMaxRecords: 3 }],
  ['maxInFlightRequests', { maxInFlightRequests: 2 }, { maxInFlight: 2 }],
  ['maxInFlightPerBroker', { maxInFlightPerBroker: 3 }, { maxInFlight: 3 }],
]
const FIELDS = ['lingerMs', 'batchBytes', 'batchMaxRecords', 'compression', 'switchStrategy', 'maxInFlight']

describe('resolveProducerUpdate', () => {
  it.each(CHANGES)('PR-11: %s changes, and nothing else', (_name, partial, changed) => {
    const before = { ...current }
    const updated = resolveProducerUpdate(current, partial)
    expect(updated).toEqual({ ...current, ...changed })
    expect(current, 'the old one stays').toEqual(before)
    expect(Object.isFrozen(updated) && Object.isFrozen(updated.connection)).toBe(true)
    expect(resolveProducerConfig(updated)).toBe(updated)
    expect(updated.sasl.password).toBe('hunter2')
    expect(JSON.stringify(updated)).not.toContain('hunter2')
  })
  it('PR-11: several at once; undefined leaves a field as it is', () => {
    const updated = resolveProducerUpdate(current, { lingerMs: undefined, batchBytes: 100, compression: 'none' })
    expect(updated).toEqual({ ...current, batchBytes: 100, compression: 'none' })
    expect(resolveProducerUpdate(current, {})).toEqual(current)
  })
  const others = [...allClientRows, ...producerRows].filter((row) => !FIELDS.includes(row.path))
  it.each(others.map((row) => [row.path, row.legal[0]?.value] as const))(
    'PR-11: %s may not change, not even to what it is',
    (path, value) => {
      const nest = (inner: unknown) => path.split('.').reduceRight<unknown>((inside, key) => ({ [key]: inside }), inner)
      const error = refusal(() => resolveProducerUpdate(current, nest(value) as object))
      expect(error.code).toBe('INVALID_CONFIG')
      expect(issuesOf(error)).toHaveLength(1)
      expect(issuesOf(error)[0]?.path).toBe(path)
      expect(issuesOf(error)[0]?.expected).toContain('lingerMs, batchBytes, batchMaxRecords')
    },
  )
  it('PR-11: a secret that may not change is not shown either', () => {
    const error = refusal(() => resolveProducerUpdate(current, { sasl: { password: 'geheim' } } as object))
    expect(JSON.stringify([error.message, error.context])).not.toContain('geheim')
  })
  it('PR-11: unknown fields are refused with the nearest name', () => {
    const error = refusal(() => resolveProducerUpdate(current, { lingerms: 1 } as object))
    expect(issuesOf(error)[0]?.expected).toBe('a known field; the nearest is lingerMs')
  })
  it.each([
    ['lingerMs', { lingerMs: -1 }],
    ['lingerMs', { lingerMs: 60_001 }],
    ['batchBytes', { batchBytes: 0 }],
    ['batchMaxRecords', { batchMaxRecords: 0 }],
    ['compression', { compression: 'rar' as never }],
    ['switchStrategy', { switchStrategy: 'often' as never }],
    ['maxInFlight', { maxInFlight: 6 }],
  ] satisfies [string, ProducerUpdate][])('PR-11: ranges hold: %s', (path, partial) => {
    expect(issuesOf(refusal(() => resolveProducerUpdate(current, partial))).map((issue) => issue.path)).toEqual([path])
  })
  it('PR-11: relations to fields that stay hold, and name both', () => {
    const size = refusal(() => resolveProducerUpdate(current, { batchBytes: 1_048_577 }))
    expect(size.message).toContain('batchBytes: expected at most maxBatchBytes (1048576)')
    const tight = resolveProducerConfig({ requestTimeoutMs: 1_000, deliveryTimeoutMs: 1_005 })
    const late = refusal(() => resolveProducerUpdate(tight, { lingerMs: 6 }))
    expect(late.message).toMatch(/deliveryTimeoutMs.*requestTimeoutMs \(1000\) and lingerMs \(6\)/)
    expect(resolveProducerUpdate(tight, { lingerMs: 5 }).lingerMs).toBe(5)
  })
  it('PR-11: an alias and its field with different values are refused', () => {
    const error = refusal(() => resolveProducerUpdate(current, { lingerMs: 1, linger: 2 }))
    expect(issuesOf(error)[0]).toMatchObject({ path: 'linger', value: 2 })
  })
  it('PR-11: a new codec takes its own level, the old one keeps its level', () => {
    const gzip = resolveProducerConfig({ compression: 'gzip', compressionLevel: 9 })
    const lz4 = resolveProducerUpdate(gzip, { compression: 'lz4' })
    expect([lz4.compression, lz4.compressionLevel]).toEqual(['lz4', undefined])
    expect(resolveProducerUpdate(gzip, { compression: 'gzip', lingerMs: 1 }).compressionLevel).toBe(9)
    expect(resolveProducerUpdate(gzip, { lingerMs: 1 }).compressionLevel).toBe(9)
  })
  it('PR-11: a preset is not laid over a running producer a second time', () => {
    const running = resolveProducerConfig({ preset: 'lowLatency', acks: 'all', idempotence: true, lingerMs: 9 })
    const updated = resolveProducerUpdate(running, { batchBytes: 5 })
    expect(updated).toEqual({ ...running, batchBytes: 5 })
  })
  it('PR-11: what a change makes unsafe is said', () => {
    const unsafe = resolveProducerConfig({ idempotence: false, maxInFlight: 1 })
    expect(configWarnings(unsafe)).toEqual([])
    const updated = resolveProducerUpdate(unsafe, { maxInFlight: 2 })
    expect(configWarnings(updated).map((warning) => warning.path)).toEqual(['maxInFlight'])
  })
  it.each([null, undefined, 7, 'lingerMs', [], new Map()])('PR-11: %s is no update', (partial) => {
    expect(refusal(() => resolveProducerUpdate(current, partial as never)).code).toBe('INVALID_CONFIG')
  })
})
