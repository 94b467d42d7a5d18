/** Metrics without a Kafka client: a channel's thirteen series with the right values, to the end of its life. */
import { describe, expect, it } from 'vitest'
import { ByteChannel } from '../../lib/channel/index.js'
import { createMetrics } from '../../lib/index.js'
import { FakeClock } from '../../lib/util/index.js'
import { sampleValue } from '../metrics/exposition.js'

/** The names that Chanjet and TurboStream published. */
const THIRTEEN = [
  'write_counts_total',
  'write_sizes_total',
  'write_errors_total',
  'read_counts_total',
  'read_sizes_total',
  'read_errors_total',
  'switch_counts_total',
  'skip_switch_counts_total',
  'switch_latency_count',
  'async_workers',
  'pool_alloc_total',
  'active_channel_data_counts',
  'active_channel_data_sizes',
]

describe('createMetrics', () => {
  it('ME-2, CH-19: a channel gives its thirteen series under both old prefixes, and keeps its totals after close', async () => {
    const clock = new FakeClock()
    const metrics = createMetrics({ compatPrefixes: ['Chanjet_', 'TurboStream_'] }, { clock })
    const channel = new ByteChannel({
      clock,
      metrics,
      maxRecords: 4,
      windowMs: 100,
      bufferMemoryBytes: 1000,
      onFull: 'reject',
    })
    for (let n = 0; n < 6; n++) channel.write(Buffer.alloc(10))
    expect(() => channel.write(Buffer.alloc(1001))).toThrow()
    for (let n = 0; n < 3; n++) channel.tryRead()?.release()
    const late = expect(channel.read({ timeoutMs: 0, signal: AbortSignal.abort() })).rejects.toThrow()
    await late
    const text = await metrics.text()
    for (const prefix of ['Chanjet_', 'TurboStream_', 'tandem_mq_']) {
      for (const name of THIRTEEN) expect([name, text.includes(`${prefix}${name}`)]).toEqual([name, true])
      expect(sampleValue(text, `${prefix}write_counts_total`, { result: 'success' })).toBe(6)
      expect(sampleValue(text, `${prefix}write_counts_total`, { result: 'failure' })).toBe(1)
      expect(sampleValue(text, `${prefix}write_sizes_total`)).toBe(60)
      expect(sampleValue(text, `${prefix}write_errors_total`)).toBe(1)
      expect(sampleValue(text, `${prefix}read_counts_total`, { result: 'success' })).toBe(3)
      expect(sampleValue(text, `${prefix}read_sizes_total`)).toBe(30)
      expect(sampleValue(text, `${prefix}switch_counts_total`)).toBe(1)
      expect(sampleValue(text, `${prefix}switch_latency_count`)).toBe(1)
      expect(sampleValue(text, `${prefix}active_channel_data_counts`)).toBe(2)
      expect(sampleValue(text, `${prefix}active_channel_data_sizes`)).toBe(20)
    }
    await channel.close({ drain: false })
    const after = await metrics.text()
    expect(sampleValue(after, 'tandem_mq_write_counts_total', { result: 'success' })).toBe(6)
    expect(sampleValue(after, 'tandem_mq_active_channel_data_counts')).toBe(0)
    await metrics.close()
  })

  it('CH-19: close brings the last totals to a sink', async () => {
    const seen = new Map<string, number>()
    const put = (name: string, _labels: unknown, value: number) => void seen.set(name, value)
    const metrics = createMetrics({ sink: { counter: put, gauge: put, histogram: () => {}, flush: () => {} } })
    const channel = new ByteChannel({ metrics })
    channel.write(Buffer.alloc(5))
    await channel.close({ drain: false })
    expect(seen.get('tandem_mq_write_sizes_total')).toBe(5)
    await metrics.close()
  })

  it('CF-3: a bad field is INVALID_CONFIG with its path', () => {
    expect(() => createMetrics({ prefix: '1x' })).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
    expect(() => createMetrics({ prefix: '1x' })).toThrow(/metrics\.prefix/)
  })
})
