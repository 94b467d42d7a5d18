/** Rules of the write-ahead log: each names its fields, and holds at its bound. */
import { describe, expect, it } from 'vitest'
import { configWarnings, type ProducerConfig, resolveConfig, resolveProducerConfig } from '../../lib/config/index.js'
import { issuesOf, refusal } from './refusal.js'

const MIB = 1_048_576
const DURABLE = ['os', 'periodic', 'immediate'] as const
const log = (wal: NonNullable<ProducerConfig['wal']>, more: ProducerConfig = {}): ProducerConfig => ({
  ...more,
  wal: { dir: './log', ...wal },
})
const issueAt = (path: string, config: ProducerConfig) =>
  issuesOf(refusal(() => resolveProducerConfig(config))).find((issue) => issue.path === path)

describe('durability', () => {
  it.each(DURABLE)('WA-2: %s needs idempotence and acks all, and names both', (durability) => {
    for (const weak of [{ acks: 1 as const }, { acks: 0 as const }, { idempotence: false }]) {
      const issue = issueAt('wal.durability', log({ durability }, weak))
      expect(issue?.value).toBe(durability)
      expect(issue?.expected).toMatch(/idempotence \(false\)/)
      expect(issue?.expected).toMatch(/acks \(-?[01]\)/)
    }
    expect(resolveProducerConfig(log({ durability })).wal.durability).toBe(durability)
    expect(resolveProducerConfig(log({ durability }, { acks: 'all', idempotence: true })).acks).toBe(-1)
  })
  it.each(['memory', 'spill'] as const)('WA-1: %s takes any acks', (durability) => {
    expect(resolveProducerConfig(log({ durability }, { acks: 1 })).acks).toBe(1)
    expect(resolveProducerConfig(log({ durability }, { idempotence: false })).idempotence).toBe(false)
  })
  it.each([...DURABLE, 'spill'] as const)('CF-3: %s without a directory is MISSING_CONFIG', (durability) => {
    const error = refusal(() => resolveConfig({ wal: { durability } }))
    expect(error.code).toBe('MISSING_CONFIG')
    expect(issuesOf(error).map((issue) => issue.path)).toEqual(['wal.dir'])
  })
  it('CF-3: a directory alone makes no log', () => {
    expect(resolveProducerConfig(log({})).wal).toMatchObject({ durability: 'memory', dir: './log' })
  })
  it('CF-1: producers inherit the log and may have one of their own', () => {
    const config = resolveConfig({
      wal: { durability: 'os', dir: 'a' },
      producer: { wal: { dir: 'b', walSyncMode: 'periodic' } },
    })
    expect(config.wal).toMatchObject({ durability: 'os', dir: 'a' })
    expect(config.producer.wal).toMatchObject({ durability: 'periodic', dir: 'b' })
  })
})

describe('spill', () => {
  it("PR-18: onFull 'spill' without a log is refused, naming both", () => {
    const issue = issueAt('onFull', { onFull: 'spill' })
    expect(issue?.expected).toContain('wal.durability ("memory")')
  })
  it("PR-18: onFull 'spill' is legal with any log", () => {
    for (const durability of ['spill', ...DURABLE] as const) {
      expect(resolveProducerConfig(log({ durability }, { onFull: 'spill' })).onFull).toBe('spill')
    }
  })
  it("WA-1: durability 'spill' means onFull 'spill'", () => {
    const resolved = resolveProducerConfig(log({ durability: 'spill' }))
    expect(resolved.onFull).toBe('spill')
    expect(resolveProducerConfig({ ...resolved })).toEqual(resolved)
    expect(configWarnings(resolved)).toEqual([])
  })
  it.each(['block', 'reject', 'dropOldest'] as const)("CF-3: durability 'spill' against onFull '%s'", (onFull) => {
    expect(issueAt('onFull', log({ durability: 'spill' }, { onFull }))?.expected).toContain('wal.durability ("spill")')
  })
  it('WA-1: the other modes leave onFull as it is', () => {
    for (const durability of DURABLE) expect(resolveProducerConfig(log({ durability })).onFull).toBe('block')
  })
})

describe('sizes', () => {
  it.each([
    [8 * MIB, MIB],
    [16 * MIB - 1, MIB],
    [16 * MIB, 2 * MIB],
    [100 * MIB, 8 * MIB],
    [512 * MIB - 1, 32 * MIB],
    [512 * MIB, 64 * MIB],
    [Number.MAX_SAFE_INTEGER, 64 * MIB],
  ])('WA-4: of %d bytes a file takes %d', (maxBytes, segmentBytes) => {
    expect(resolveConfig({ wal: { maxBytes } }).wal.segmentBytes).toBe(segmentBytes)
  })
  it('CF-3: a file is at most an eighth of the log', () => {
    expect(resolveConfig({ wal: { maxBytes: 16 * MIB, segmentBytes: 2 * MIB } }).wal.segmentBytes).toBe(2 * MIB)
    const error = refusal(() => resolveConfig({ wal: { maxBytes: 16 * MIB - 1, segmentBytes: 2 * MIB } }))
    expect(error.message).toContain('wal.segmentBytes: expected at most an eighth of wal.maxBytes (16777215)')
  })
  it('CF-3: a batch is at most a quarter of a file', () => {
    const fits = log({ durability: 'os', segmentBytes: 4 * MIB }, { maxBatchBytes: MIB })
    expect(resolveProducerConfig(fits).maxBatchBytes).toBe(MIB)
    const issue = issueAt('maxBatchBytes', log({ durability: 'os', segmentBytes: 4 * MIB }, { maxBatchBytes: MIB + 1 }))
    expect(issue?.expected).toContain('wal.segmentBytes (4194304)')
    const derived = issueAt('maxBatchBytes', log({ durability: 'spill', maxBytes: 8 * MIB }))
    expect(derived).toMatchObject({ value: MIB, expected: expect.stringContaining('wal.maxBytes (8388608)') })
  })
  it.each(['pendingMaxBytes', 'unsyncedMaxBytes', 'minFreeBytes'])('CF-3: wal.%s takes at least one batch', (field) => {
    const issue = issueAt(`wal.${field}`, log({ durability: 'os', [field]: MIB - 1 }))
    expect(issue?.expected).toBe('at least maxBatchBytes (1048576)')
    const resolved = resolveProducerConfig(log({ durability: 'os', [field]: MIB }))
    expect((resolved.wal as unknown as Record<string, unknown>)[field]).toBe(MIB)
  })
  it('CF-3: without a log batches may be larger than its files', () => {
    const large = { maxBatchBytes: 100 * MIB, bufferMemoryBytes: 200 * MIB }
    expect(resolveProducerConfig({ ...large, wal: { pendingMaxBytes: 1_024 } }).maxBatchBytes).toBe(100 * MIB)
  })
  it('CF-3: the margin is less than the expiration', () => {
    const wal = { producerIdExpirationMs: 1_000, expirationMarginMs: 999 }
    expect(resolveConfig({ wal }).wal.expirationMarginMs).toBe(999)
    const error = refusal(() => resolveConfig({ wal: { ...wal, expirationMarginMs: 1_000 } }))
    expect(issuesOf(error)[0]).toMatchObject({
      path: 'wal.expirationMarginMs',
      expected: 'less than wal.producerIdExpirationMs (1000)',
    })
  })
})
