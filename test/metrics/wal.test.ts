/** What every series of the log means, `getMetrics().wal`, and the check `wal`: values one by one. */
import { describe, expect, it } from 'vitest'
import { checkWal, SERIES, type WalFigures, walSnapshot } from '../../lib/metrics/index.js'
import type { WalState } from '../../lib/wal/index.js'
import { parseExposition } from './exposition.js'
import { buckets, metricsOf } from './fakes.js'
import { walFigures, walMeasures } from './wal-fakes.js'

const P = 'tandem_mq_'
const sourceOf = (figures: WalFigures | null) => ({ walMeasures: () => figures })

/** Series -> `labels: value`; histograms by count and sum. */
const EXPECTED: Record<string, string[]> = {
  wal_appended_records_total: ['501'],
  wal_appended_bytes_total: ['50002'],
  wal_groups_total: ['53'],
  wal_group_records: ['count 2, sum 41'],
  wal_fdatasync_total: ['54'],
  wal_write_seconds: ['count 1, sum 0.0002'],
  wal_fdatasync_seconds: ['count 2, sum 0.008'],
  wal_accept_seconds: ['count 3, sum 0.015'],
  wal_pending_bytes: ['55'],
  wal_unsynced_bytes: ['56'],
  wal_live_bytes: ['57'],
  wal_segments: ['state=live: 3', 'state=spare: 2'],
  wal_oldest_unsettled_seconds: ['59.5'],
  wal_settled_records_total: [
    'outcome=delivered: 61',
    'outcome=duplicate: 62',
    'outcome=rejected: 63',
    'outcome=dropped: 64',
    'outcome=lost: 65',
  ],
  wal_blocked_seconds_total: ['8.25'],
  wal_rejected_total: ['66'],
  wal_errors_total: ['code=EIO: 67', 'code=ENOSPC: 68'],
  wal_poisoned_total: ['69'],
  wal_torn_bytes_total: ['70'],
  wal_hole_records_total: ['71'],
  wal_relocated_bytes_total: ['72'],
  wal_recovery_seconds: ['phase=scan: 7.5', 'phase=resolve: 9.75'],
  wal_recovered_records_total: ['73'],
  wal_resolved_batches_total: ['verdict=resent: 81', 'verdict=presumed: 82'],
  wal_held_streams: ['1'],
  wal_edge_total: ['case=E1,topic=orders: 83', 'case=E10,topic=orders: 84', 'case=E10,topic=events: 85'],
}

/** Samples of the log's series as `EXPECTED` writes them. */
async function shown(text: Promise<string>): Promise<Record<string, string[]>> {
  const families = parseExposition(await text, 'text')
  const rows = SERIES.filter(({ room }) => room === 'wal')
  const found = rows.flatMap(({ name, type }): (readonly [string, string[]])[] => {
    const family = families.get(P + name)
    if (family === undefined) return []
    if (type === 'histogram') {
      const of = (part: string) => family.samples.find((sample) => sample.name === `${P}${name}_${part}`)?.value
      return [[name, [`count ${of('count')}, sum ${of('sum')}`]]]
    }
    const lines = family.samples.map(({ labels, value }) => {
      const told = Object.entries(labels).map(([label, word]) => `${label}=${word}`)
      return told.length === 0 ? String(value) : `${told.join(',')}: ${value}`
    })
    return [[name, lines]]
  })
  return Object.fromEntries(found)
}

describe('the series of the log', () => {
  it('ME-1, wal.md 5: there is a value here for each of them', () => {
    const names = SERIES.filter(({ room }) => room === 'wal').map(({ name }) => name)
    expect(Object.keys(EXPECTED).sort()).toEqual(names.sort())
  })

  it('ME-1, wal.md 5: each shows the number it is named after', async () => {
    const metrics = metricsOf()
    metrics.attachWal(sourceOf(walFigures()))
    expect(await shown(metrics.text())).toEqual(EXPECTED)
  })

  it('ME-1: without a log none of them is there; before it is open the closed sets of labels are 0', async () => {
    const metrics = metricsOf()
    expect(await shown(metrics.text())).toEqual({})
    metrics.attachWal(sourceOf(null))
    const seen = await shown(metrics.text())
    expect(seen.wal_segments).toEqual(['state=live: 0', 'state=spare: 0'])
    expect(seen.wal_settled_records_total).toHaveLength(5)
    expect(seen.wal_appended_records_total).toEqual(['0'])
    expect(seen.wal_edge_total ?? []).toEqual([])
  })

  it('ME-1: logs of one instance add up; of ages and recoveries the worst is shown', async () => {
    const metrics = metricsOf()
    metrics.attachWal(sourceOf(walFigures()))
    const log = walMeasures({ oldestUnsettledSeconds: 2, recoverySeconds: 20, appendedRecords: 9 })
    metrics.attachWal(sourceOf(walFigures({ log })))
    const seen = await shown(metrics.text())
    expect(seen).toMatchObject({
      wal_appended_records_total: ['510'],
      wal_oldest_unsettled_seconds: ['59.5'],
      wal_recovery_seconds: ['phase=scan: 20', 'phase=resolve: 9.75'],
      wal_segments: ['state=live: 6', 'state=spare: 4'],
      wal_held_streams: ['2'],
      wal_group_records: ['count 4, sum 82'],
    })
  })

  it('ME-1: totals of a log that was closed stay, whether it is detached or has no figures any more', async () => {
    const metrics = metricsOf()
    let figures: WalFigures | null = walFigures()
    const detach = metrics.attachWal({ walMeasures: () => figures })
    await metrics.text()
    figures = null
    expect((await shown(metrics.text())).wal_appended_records_total).toEqual(['501'])
    detach()
    const seen = await shown(metrics.text())
    expect(seen.wal_appended_records_total).toEqual(['501'])
    expect(seen.wal_edge_total).toEqual(EXPECTED.wal_edge_total)
    expect(seen.wal_segments).toEqual(['state=live: 0', 'state=spare: 0'])
  })

  it('ME-1: histograms that are not kept, and a resolution that has not ended, show nothing', async () => {
    const metrics = metricsOf()
    const none = { groupRecords: null, writeSeconds: null, fdatasyncSeconds: null, acceptSeconds: null }
    const { resolveSeconds: _none, ...figures } = walFigures({ log: walMeasures(none) })
    metrics.attachWal(sourceOf(figures))
    const seen = await shown(metrics.text())
    expect(seen.wal_accept_seconds).toEqual(['count 0, sum 0'])
    expect(seen.wal_recovery_seconds).toEqual(['phase=scan: 7.5'])
  })

  it('ME-3: histograms of other bounds than those of the table are refused, not shown wrongly', async () => {
    const metrics = metricsOf()
    metrics.attachWal(sourceOf(walFigures({ log: walMeasures({ groupRecords: buckets([1, 2], 1) }) })))
    expect((await shown(metrics.text())).wal_groups_total).toEqual(['0'])
  })
})

describe('getMetrics().wal', () => {
  it('ME-4: plain numbers that survive JSON', () => {
    const snapshot = walSnapshot(walFigures(), 'open')
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot)
    expect(snapshot).toEqual({
      state: 'open',
      appendedRecords: 501,
      appendedBytes: 50_002,
      groups: 53,
      fdatasyncs: 54,
      pendingBytes: 55,
      unsyncedBytes: 56,
      liveBytes: 57,
      totalBytes: 58,
      segments: { live: 3, spare: 2 },
      unsettledRecords: 60,
      oldestUnsettledSeconds: 59.5,
      settledRecords: { delivered: 61, duplicate: 62, rejected: 63, dropped: 64, lost: 65 },
      rejected: 66,
      errors: { EIO: 67, ENOSPC: 68 },
      poisoned: 69,
      tornBytes: 70,
      holeRecords: 71,
      relocatedBytes: 72,
      recoveredRecords: 73,
      recoverySeconds: 7.5,
      resolvedBatches: { resent: 81, presumed: 82 },
      edges: { E1: { orders: 83 }, E10: { orders: 84, events: 85 } },
      heldStreams: 1,
      blockedSeconds: 8.25,
      acceptP99Ms: expect.closeTo(4.975, 6),
      fdatasyncP99Ms: expect.closeTo(4.975, 6),
    })
  })

  it('ME-4: null without a log; 0 where nothing was measured', () => {
    expect(walSnapshot(null, 'open')).toBeNull()
    expect(walSnapshot(walFigures(), null)).toBeNull()
    const log = walMeasures({ acceptSeconds: null, fdatasyncSeconds: buckets(buckets([1]).bounds) })
    expect(walSnapshot(walFigures({ log }), 'draining')).toMatchObject({ acceptP99Ms: 0, fdatasyncP99Ms: 0 })
  })
})

describe('the check of the log', () => {
  const logOf = (walState: WalState | null, heldStreams = 0) => ({ walState, walMeasures: () => ({ heldStreams }) })

  it('ME-5: healthy without a log, before it is open, and while it is open', () => {
    expect(() => checkWal({ walState: null, walMeasures: () => null })).not.toThrow()
    expect(() => checkWal(logOf(null))).not.toThrow()
    expect(() => checkWal(logOf('open'))).not.toThrow()
  })

  it.each([
    ['draining', 'POOL_EXHAUSTED', 'WAL_FULL'],
    ['degraded', 'PRODUCE_FAILED', undefined],
    ['failed', 'PRODUCE_FAILED', 'WAL_FAILED'],
  ] as const)('ME-5: %s is unhealthy, with its reason', (state, code, reason) => {
    const expected = expect.objectContaining({ code, message: expect.stringMatching(`^${state}: `) })
    expect(() => checkWal(logOf(state))).toThrow(expected)
    try {
      checkWal(logOf(state))
    } catch (error) {
      expect((error as { context: { reason?: string } }).context.reason).toBe(reason)
    }
  })

  it('ME-5: held topic-partitions are unhealthy, and the text says who decides', () => {
    expect(() => checkWal(logOf('open', 2))).toThrow(/^2 topic-partitions are held .*resolveHeld.*wal recover/)
  })
})
