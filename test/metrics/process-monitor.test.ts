import { describe, expect, it, onTestFinished } from 'vitest'
import type { ProcessMeasures } from '../../lib/metrics/process-measures.js'
import { ProcessMonitor } from '../../lib/metrics/process-monitor.js'
import {
  meanDelaySeconds,
  mountsIn,
  networkBytesIn,
  type ProcessProbe,
  systemProbe,
} from '../../lib/metrics/process-probe.js'
import { type Deferred, deferred, FakeClock, type Logger } from '../../lib/util/index.js'

class FakeProbe implements ProcessProbe {
  starts = 0
  stops = 0
  looks: Deferred<ProcessMeasures>[] = []
  start(): void {
    this.starts++
  }
  look(): Promise<ProcessMeasures> {
    const look = deferred<ProcessMeasures>()
    this.looks.push(look)
    return look.promise
  }
  stop(): void {
    this.stops++
  }
}

function monitored(intervalMs = 5_000) {
  const clock = new FakeClock()
  const probe = new FakeProbe()
  const lines: [string, string, object | undefined][] = []
  const say = (level: string) => (message: string, context?: object) => void lines.push([level, message, context])
  const logger: Logger = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  const monitor = new ProcessMonitor({ intervalMs, clock, logger, probe })
  return { clock, probe, lines, monitor }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

describe('ME-7: the process monitor', () => {
  it('looks each processIntervalMs and tells measures, observers and the logger', async () => {
    const { clock, probe, lines, monitor } = monitored()
    const seen: ProcessMeasures[] = []
    const off = monitor.observe((measures) => seen.push(measures))
    expect([clock.pendingTimers, probe.starts, monitor.measures()]).toEqual([0, 0, {}])
    monitor.start()
    monitor.start()
    expect([clock.pendingTimers, probe.starts]).toEqual([1, 1])
    clock.advance(4_999)
    expect(probe.looks.length).toBe(0)
    clock.advance(1)
    const measures = {
      cpuPercent: 12.3456,
      heapBytes: 100,
      networkSentBytes: undefined,
      disks: [{ partition: '/dev/a', mountpoint: '/data', usedPercent: 71 }],
    }
    probe.looks[0]?.resolve(measures)
    await turns()
    expect([monitor.measures(), seen]).toEqual([measures, [measures]])
    expect(lines).toEqual([['info', 'process', { cpuPercent: 12.346, heapBytes: 100, 'disk /data': 71 }]])
    off()
    clock.advance(5_000)
    probe.looks[1]?.resolve({})
    await turns()
    expect([seen.length, monitor.measures()]).toEqual([1, {}])
  })

  it('a look that does not end holds back the next one, and the one after it goes on', async () => {
    const { clock, probe, monitor } = monitored()
    monitor.start()
    clock.advance(20_000)
    expect(probe.looks.length).toBe(1)
    probe.looks[0]?.resolve({})
    await turns()
    clock.advance(5_000)
    expect(probe.looks.length).toBe(2)
  })

  it('a probe or an observer that throws is logged, and the next look comes', async () => {
    const { clock, probe, lines, monitor } = monitored()
    monitor.observe(() => {
      throw new Error('mine')
    })
    monitor.start()
    clock.advance(5_000)
    probe.looks[0]?.reject(new Error('no /proc today'))
    await turns()
    clock.advance(5_000)
    probe.looks[1]?.resolve({ heapBytes: 1 })
    await turns()
    expect(lines.filter(([level]) => level === 'error').map(([, message]) => message)).toEqual([
      'the process could not be looked at',
      'an observer threw',
    ])
    expect(monitor.measures()).toEqual({ heapBytes: 1 })
  })

  it('after close: no timer, the probe is stopped, and a look under way tells nobody', async () => {
    const { clock, probe, lines, monitor } = monitored()
    monitor.close()
    expect(probe.stops).toBe(0)
    monitor.start()
    clock.advance(5_000)
    monitor.close()
    monitor.close()
    probe.looks[0]?.resolve({ heapBytes: 1 })
    await turns()
    expect([clock.pendingTimers, probe.stops, monitor.measures(), lines]).toEqual([0, 1, {}, []])
  })
})

describe('ME-7: what the system tells', () => {
  it('gives figures in their ranges', async () => {
    const probe = systemProbe()
    probe.start()
    onTestFinished(() => probe.stop())
    const untilMs = performance.now() + 60
    while (performance.now() < untilMs) await new Promise<void>((resolve) => setImmediate(resolve))
    const measures = await probe.look()
    for (const percent of [measures.memoryPercent, ...(measures.disks ?? []).map((disk) => disk.usedPercent)]) {
      expect(percent).toBeGreaterThanOrEqual(0)
      expect(percent).toBeLessThanOrEqual(100)
    }
    expect(measures.heapBytes).toBeGreaterThan(1_000_000)
    expect(measures.activeResources).toBeGreaterThanOrEqual(0)
    expect(measures.disks?.length).toBeGreaterThanOrEqual(1)
    if (process.platform === 'linux') {
      expect(measures.networkSentBytes).toBeGreaterThanOrEqual(0)
      expect(measures.networkReceivedBytes).toBeGreaterThanOrEqual(0)
      expect(measures.cpuPercent ?? 0).toBeLessThanOrEqual(100)
    }
  })

  it('sees an event loop that stood still, and no longer when it was told', async () => {
    const probe = systemProbe()
    probe.start()
    onTestFinished(() => probe.stop())
    const ticks = (count: number) =>
      new Promise<void>((resolve) => {
        const tick = (left: number) => (left === 0 ? resolve() : setTimeout(tick, 10, left - 1))
        tick(count)
      })
    await ticks(3)
    await probe.look()
    const untilMs = performance.now() + 300
    while (performance.now() < untilMs); // The loop stands still.
    await ticks(3)
    const blocked = (await probe.look()).eventLoopDelaySeconds as number
    expect(blocked).toBeGreaterThan(0.02)
    await ticks(20)
    const after = (await probe.look()).eventLoopDelaySeconds as number
    expect(after).toBeLessThan(blocked)
  })

  it('the delay is what a tick took beyond its 10 ms, on average since the last look', () => {
    const ms = 1e6
    expect(meanDelaySeconds({ count: 0, sum: 0 }, { count: 4, sum: 60 * ms })).toBeCloseTo(0.005)
    expect(meanDelaySeconds({ count: 4, sum: 60 * ms }, { count: 5, sum: 160 * ms })).toBeCloseTo(0.09)
    expect(meanDelaySeconds({ count: 4, sum: 60 * ms }, { count: 5, sum: 69 * ms })).toBe(0)
    expect(meanDelaySeconds({ count: 5, sum: 1 }, { count: 5, sum: 1 })).toBe(undefined)
  })

  it('stopped, it tells no delay', async () => {
    const probe = systemProbe()
    probe.start()
    probe.stop()
    expect((await probe.look()).eventLoopDelaySeconds).toBe(undefined)
  })

  it('reads file systems on devices, the root, and each device once under its shortest name', () => {
    const table = [
      'proc /proc proc rw 0 0',
      'overlay / overlay rw 0 0',
      '/dev/sda1 /etc/hosts ext4 rw 0 0',
      '/dev/sda1 /data ext4 rw 0 0',
      '/dev/sdb1 /mnt/with\\040blank ext4 rw 0 0',
      'tmpfs /run tmpfs rw 0 0',
      '',
    ].join('\n')
    expect(mountsIn(table)).toEqual([
      { partition: 'overlay', mountpoint: '/' },
      { partition: '/dev/sda1', mountpoint: '/data' },
      { partition: '/dev/sdb1', mountpoint: '/mnt/with blank' },
    ])
  })

  it('adds up the network interfaces without the loopback', () => {
    const table = [
      'Inter-|   Receive                                                |  Transmit',
      ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
      '    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0',
      '  eth0: 100 2 0 0 0 0 0 0 7 3 0 0 0 0 0 0',
      '  eth1:20 2 0 0 0 0 0 0 5 3 0 0 0 0 0 0',
      '',
    ].join('\n')
    expect(networkBytesIn(table)).toEqual({ sent: 12, received: 120 })
  })
})
