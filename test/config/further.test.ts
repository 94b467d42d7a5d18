/** FA-1: further producers and consumers of one instance: own fields over the instance's. */
import { describe, expect, it } from 'vitest'
import {
  configWarnings,
  type MQConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveFurtherConsumer,
  resolveFurtherProducer,
  resolveProducerConfig,
} from '../../lib/config/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { issuesOf, refusal } from './refusal.js'

const base: MQConfig = {
  logger: silentLogger,
  clientId: 'shop',
  connection: { dialTimeoutMs: 5 },
  producer: { lingerMs: 7, compression: 'gzip' },
  consumerConfig: { groupID: 'g' },
}

describe.each([
  ['what the caller gave', base],
  ['its resolved form', resolveConfig(base)],
] as const)('of %s', (_name, instance) => {
  it('FA-1: a further producer has its own fields over those of the instance', () => {
    const own = resolveFurtherProducer(instance, { lingerMs: 1, clientId: 'shop-2', connection: { keepAliveMs: 0 } })
    expect(own).toMatchObject({ lingerMs: 1, compression: 'gzip', clientId: 'shop-2' })
    expect(own.connection).toMatchObject({ dialTimeoutMs: 5, keepAliveMs: 0 })
    expect(resolveProducerConfig(own)).toBe(own)
    expect(resolveFurtherProducer(instance, {})).toEqual(resolveConfig(base).producer)
  })
  it('FA-1: a further consumer has its own fields over those of the instance', () => {
    const own = resolveFurtherConsumer(instance, { concurrency: 4 })
    expect(own).toMatchObject({ concurrency: 4, groupId: 'g', clientId: 'shop' })
    expect(resolveConsumerConfig(own)).toBe(own)
    expect(resolveFurtherConsumer(instance, {})).toEqual(resolveConfig(base).consumer)
  })
  it('PR-14: acks of its own turn idempotence off, since nobody asked for both', () => {
    const own = resolveFurtherProducer(instance, { acks: 1 })
    expect([own.acks, own.idempotence]).toEqual([1, false])
    expect(configWarnings(own).map((warning) => warning.path)).toEqual(['acks'])
  })
  it('CF-4: a preset of its own lies under everything that was given', () => {
    const own = resolveFurtherProducer(instance, { preset: 'lowLatency' })
    expect(own).toMatchObject({ acks: 1, batchBytes: 1_024, lingerMs: 7, compression: 'gzip' })
    expect(own.connection).toMatchObject({ dialTimeoutMs: 5, readTimeoutMs: 1_000 })
  })
  it('CF-3: findings of its own fields are named', () => {
    const error = refusal(() => resolveFurtherProducer(instance, { lingerMs: -1, lingr: 1 } as object))
    expect(issuesOf(error).map((issue) => issue.path)).toEqual(['lingerMs', 'lingr'])
    expect(refusal(() => resolveFurtherConsumer(instance, null as never)).code).toBe('INVALID_CONFIG')
  })
})
