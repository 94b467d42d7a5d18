import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { HealthChecks } from '../../lib/metrics/health.js'
import { deferred, FakeClock } from '../../lib/util/index.js'

function checksWith(timeoutMs?: number) {
  const clock = new FakeClock(1_000)
  return { clock, checks: new HealthChecks({ clock, ...(timeoutMs === undefined ? {} : { timeoutMs }) }) }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

describe('ME-5: health checks', () => {
  it('one failing check of two: overall false, two results, the failing one named with its error', async () => {
    const { checks } = checksWith()
    checks.register('good', () => 'anything')
    checks.register('bad', () => Promise.reject(new MQError('CONNECTION_FAILED', 'nobody there', { host: 'h' })))
    const report = await checks.run()
    expect(report).toEqual({
      overall: false,
      checks: {
        good: { healthy: true, durationMs: 0 },
        bad: { healthy: false, error: '[CONNECTION_FAILED] nobody there', durationMs: 0 },
      },
      timestamp: 1_000,
    })
  })

  it('unhealthy is what throws, rejects, or gives false, at once or later; every other value is healthy', async () => {
    const { checks } = checksWith()
    const outcomes: Record<string, () => unknown> = {
      nothing: () => {},
      zero: () => 0,
      empty: () => '',
      nil: () => null,
      resolved: async () => ({ rttMs: 3 }),
      false: () => false,
      laterFalse: async () => false,
      thrown: () => {
        throw new Error('boom')
      },
      rejectedText: () => Promise.reject('just text'),
      rejected: () => Promise.reject(new TypeError('no such thing')),
    }
    for (const [name, check] of Object.entries(outcomes)) checks.register(name, check)
    const { overall, checks: results } = await checks.run()
    const failed = Object.entries(results).filter(([, { healthy }]) => !healthy)
    expect(overall).toBe(false)
    expect(failed.map(([name, { error }]) => [name, error])).toEqual([
      ['false', '[CONNECTION_FAILED] the check said false'],
      ['laterFalse', '[CONNECTION_FAILED] the check said false'],
      ['thrown', 'boom'],
      ['rejectedText', 'just text'],
      ['rejected', 'no such thing'],
    ])
  })

  it('without any check all is well', async () => {
    expect(await checksWith().checks.run()).toMatchObject({ overall: true, checks: {} })
  })

  it('trap 24: checks run in parallel; one that hangs ends at its limit of 5,000 ms and hides no other', async () => {
    const { clock, checks } = checksWith()
    const slow = deferred<void>()
    let aborted: unknown
    checks.register('hangs', (signal) => {
      signal.addEventListener('abort', () => {
        aborted = signal.reason
      })
      return new Promise(() => {})
    })
    checks.register('slow', () => slow.promise)
    const asked = checks.run()
    await turns()
    clock.advance(2_000)
    slow.resolve()
    await turns()
    clock.advance(2_999)
    await turns()
    expect(aborted).toBe(undefined)
    clock.advance(1)
    const report = await asked
    expect(report.checks['slow']).toEqual({ healthy: true, durationMs: 2_000 })
    expect(report.checks['hangs']).toMatchObject({ healthy: false, durationMs: 5_000 })
    expect(report.checks['hangs']?.error).toMatch(/^\[TIMEOUT\] the check hangs did not end within 5000 ms/)
    expect((aborted as MQError).code).toBe('TIMEOUT')
    expect(clock.pendingTimers).toBe(0)
  })

  it('a check runs once at a time: asking again while it hangs starts nothing and fails at the limit again', async () => {
    const { clock, checks } = checksWith(100)
    const end = deferred<void>()
    let runs = 0
    checks.register('slow', () => {
      runs++
      return runs === 1 ? end.promise : undefined
    })
    for (let time = 0; time < 3; time++) {
      const asked = checks.run()
      await turns()
      clock.advance(100)
      expect((await asked).overall).toBe(false)
    }
    expect(runs).toBe(1)
    end.resolve()
    await turns()
    expect((await checks.run()).overall).toBe(true)
    expect(runs).toBe(2)
  })

  it('two reports at the same time share a run', async () => {
    const { checks } = checksWith()
    let runs = 0
    checks.register('one', async () => {
      runs++
    })
    const [first, second] = await Promise.all([checks.run(), checks.run()])
    expect([first.overall, second.overall, runs]).toEqual([true, true, 1])
  })

  it('a name is taken once; unregister frees it', async () => {
    const { checks } = checksWith()
    checks.register('mine', () => {})
    for (const wrong of [() => checks.register('mine', () => {}), () => checks.register('', () => {})]) {
      expect(wrong).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
    }
    expect(() => checks.register('other', 'not a function' as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    )
    expect([checks.unregister('mine'), checks.unregister('mine')]).toEqual([true, false])
    checks.register('mine', () => false)
    expect(checks.names()).toEqual(['mine'])
    expect((await checks.run()).overall).toBe(false)
  })

  it('close ends the waits that are under way, and no timer remains', async () => {
    const { clock, checks } = checksWith()
    checks.register('hangs', () => new Promise(() => {}))
    const asked = checks.run()
    await turns()
    checks.close()
    expect((await asked).checks['hangs']).toMatchObject({ healthy: false })
    expect(clock.pendingTimers).toBe(0)
  })

  it('a name like __proto__ is just a name', async () => {
    const { checks } = checksWith()
    checks.register('__proto__', () => false)
    const report = await checks.run()
    expect([report.overall, Object.keys(report.checks)]).toEqual([false, ['__proto__']])
  })
})
