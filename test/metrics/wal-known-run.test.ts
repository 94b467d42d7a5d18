/**
 * A real log on a real disk, with counted work: what each series shows is compared with what was done, never with what
 * the log says of itself. Facts of the disk (how many groups, how long) are compared with each other.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBroker, fault } from '../../lib/broker/index.js'
import { MQ } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { until } from '../producer/support.js'
import { keyOf, parseExposition } from './exposition.js'

const P = 'tandem_mq_'

/** Values by series and labels, read now. */
async function seen(mq: MQ) {
  const families = parseExposition(await mq.metrics.text(), 'text')
  const samples = [...families.values()].flatMap((family) => family.samples)
  const values = new Map(samples.map(({ name, labels, value }) => [keyOf(name, labels), value]))
  return (name: string, labels: Record<string, string> = {}) => values.get(keyOf(P + name, labels))
}

function newDirectory(): string {
  const parent = mkdtempSync(join(tmpdir(), 'metrics-wal-'))
  onTestFinished(() => rmSync(parent, { recursive: true, force: true }))
  return join(parent, 'log')
}

async function stage(dir: string, brokers?: string) {
  const broker = brokers === undefined ? await createBroker() : null
  broker?.createTopic('orders', { partitions: 1 })
  const wal = { dir, durability: 'immediate', maxBytes: 16 * 1024 * 1024, minFreeBytes: 1024 * 1024 } as const
  const producer = { maxBatchBytes: 262_144 }
  const mq = new MQ({ brokers: brokers ?? broker?.bootstrap ?? '', wal, producer, logger: silentLogger })
  onTestFinished(async () => {
    await mq.close({ timeoutMs: 1_000 })
    await broker?.close()
  })
  return { broker, mq }
}

describe('the series of a log at work', () => {
  it('ME-1, WA-6: count what was logged, accepted and delivered', async () => {
    const { mq } = await stage(newDirectory())
    for (let n = 0; n < 7; n++) await mq.sendDurable('orders', `v${n}`)
    await mq.sendSync('orders', 'last')
    await mq.producer.flush()
    // The last acknowledgement rides a few milliseconds behind what it acknowledges.
    const log = () => mq.producer.walMeasures()?.log
    await until(() => log()?.pendingBytes === 0 && log()?.unsyncedBytes === 0, 'a log at rest')
    const of = await seen(mq)
    expect(of('wal_appended_records_total')).toBe(8)
    expect(of('wal_appended_bytes_total')).toBeGreaterThan(8 * 61)
    expect(of('wal_settled_records_total', { outcome: 'delivered' })).toBe(8)
    expect(of('wal_settled_records_total', { outcome: 'lost' })).toBe(0)
    // Each was waited for, so each had a group of its own.
    expect(of('wal_group_records_count')).toBe(8)
    expect(of('wal_group_records_sum')).toBe(8)
    expect(of('wal_accept_seconds_count')).toBe(8)
    expect(of('wal_groups_total')).toBeGreaterThanOrEqual(8)
    expect(of('wal_fdatasync_total')).toBeGreaterThanOrEqual(8)
    expect(of('wal_accept_seconds_sum')).toBeGreaterThanOrEqual((of('wal_fdatasync_seconds_sum') ?? 0) / 100)
    expect(of('wal_pending_bytes')).toBe(0)
    expect(of('wal_unsynced_bytes')).toBe(0)
    expect(of('wal_oldest_unsettled_seconds')).toBe(0)
    expect(of('wal_held_streams')).toBe(0)
    expect(of('wal_rejected_total')).toBe(0)
    expect(of('wal_recovered_records_total')).toBe(0)
    expect(of('wal_segments', { state: 'live' })).toBe(1)
    expect(mq.getMetrics().wal).toMatchObject({ state: 'open', appendedRecords: 8, unsettledRecords: 0 })
  })

  it('ME-1, WA-3: records that are left, their age, and what the next opening recovers', async () => {
    const dir = newDirectory()
    const { mq, broker } = await stage(dir)
    await mq.sendSync('orders', 'the log knows the topic')
    const held = broker?.on({ api: 'Produce', times: 1 }, fault.hold())
    for (let n = 0; n < 5; n++) await mq.sendDurable('orders', `v${n}`)
    const during = await seen(mq)
    expect(during('wal_appended_records_total')).toBe(6)
    expect(during('wal_settled_records_total', { outcome: 'delivered' })).toBe(1)
    expect(during('wal_live_bytes')).toBeGreaterThan(0)
    expect(mq.getMetrics().wal?.unsettledRecords).toBe(5)
    expect((await mq.health()).checks.wal?.healthy).toBe(true)
    expect(await mq.close({ timeoutMs: 0 })).toMatchObject({ inWalRecords: 5 })
    held?.remove()
    // What was counted stays, in text() of the instance that was closed.
    expect((await seen(mq))('wal_appended_records_total')).toBe(6)

    const next = await stage(dir, broker?.bootstrap)
    await next.mq.producer.connect()
    await next.mq.producer.walRecovered()
    const of = await seen(next.mq)
    expect(of('wal_recovered_records_total')).toBe(5)
    expect(of('wal_recovery_seconds', { phase: 'scan' })).toBeGreaterThan(0)
    expect(of('wal_torn_bytes_total')).toBe(0)
    const settled = ['delivered', 'duplicate'].map((outcome) => of('wal_settled_records_total', { outcome }) ?? 0)
    expect(settled.reduce((sum, records) => sum + records, 0)).toBe(5)
    expect((await broker?.records('orders', 0))?.length).toBe(6)
  })
})
