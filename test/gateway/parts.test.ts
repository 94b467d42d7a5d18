/** Small parts of the gateway: how fast a client may be, and the board of figures. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { Pace } from '../../lib/gateway/pace.js'
import { StatsBoard } from '../../lib/gateway/stats-board.js'
import type { FrameId } from '../../lib/gateway/types.js'
import { FakeClock } from '../../lib/util/index.js'
import { stage, TcpClient } from './support.js'

describe('pace', () => {
  it("GW-1: lets a second's worth pass at once, then what the rate allows", () => {
    const pace = new Pace({ publishPerSecond: 4, bytesPerSecond: 0 }, 0)
    expect([1, 2, 3, 4].map(() => pace.take(1, 999_999, 0))).toEqual([0, 0, 0, 0])
    expect(pace.take(1, 0, 0)).toBe(250)
    expect(pace.take(1, 0, 250)).toBe(250)
    expect(pace.take(1, 0, 1000)).toBe(0)
    // Rest is saved up to one second's worth, not more.
    expect([1, 2, 3, 4].map(() => pace.take(1, 0, 100_000))).toEqual([0, 0, 0, 0])
    expect(pace.take(1, 0, 100_000)).toBe(250)
  })

  it('GW-1: a frame larger than a second of bytes is taken, and made up for', () => {
    const pace = new Pace({ publishPerSecond: 0, bytesPerSecond: 100 }, 0)
    expect(pace.take(1, 1100, 0)).toBe(10_000)
    expect(pace.take(0, 0, 10_000)).toBe(0)
  })

  it('GW-1: a rate below one per second still lets one pass', () => {
    const pace = new Pace({ publishPerSecond: 0.5, bytesPerSecond: 0 }, 0)
    expect(pace.take(1, 0, 0)).toBe(0)
    expect(pace.take(1, 0, 0)).toBe(2000)
  })

  it('GW-1: one wait is a day at most; the rest is waited for behind the next frame', () => {
    const pace = new Pace({ publishPerSecond: 0, bytesPerSecond: 0.001 }, 0)
    expect(pace.take(1, 1_048_576, 0)).toBe(86_400_000)
    expect(pace.take(1, 1, 86_400_000)).toBe(86_400_000)
  })

  it('GW-1: the slower of both counts', () => {
    const pace = new Pace({ publishPerSecond: 1, bytesPerSecond: 10 }, 0)
    expect(pace.take(1, 10, 0)).toBe(0)
    expect(pace.take(1, 30, 0)).toBe(3000)
  })
})

describe('the board of figures', () => {
  class Seen {
    readonly shown: [FrameId | undefined, unknown][] = []
    isWritable = true
    showStats(id: FrameId | undefined, stats: unknown): void {
      this.shown.push([id, stats])
    }
  }

  it('GW-1: shows at once and each second, makes figures once for all, and rests when nobody looks', () => {
    const timers: { task: () => unknown; isOn: boolean }[] = []
    let made = 0
    const board = new StatsBoard({
      figures: () => ++made,
      runEvery: (ms, task) => {
        expect(ms).toBe(1000)
        const timer = { task, isOn: true }
        timers.push(timer)
        return {
          stop: () => {
            timer.isOn = false
          },
        }
      },
    })
    const [ann, bob] = [new Seen(), new Seen()]
    board.watch(ann, 'a')
    board.watch(bob, 2)
    timers[0]?.task()
    bob.isWritable = false
    timers[0]?.task()
    expect(ann.shown).toEqual([
      ['a', 1],
      ['a', 3],
      ['a', 4],
    ])
    expect(bob.shown).toEqual([
      [2, 2],
      [2, 3],
    ])
    board.unwatch(ann)
    board.unwatch(ann)
    expect(timers.map(({ isOn }) => isOn)).toEqual([true])
    board.unwatch(bob)
    expect(timers.map(({ isOn }) => isOn)).toEqual([false])
  })

  it('GW-1, trap 25: stats that throw are an error of the gateway; its own figures still come, each second', async () => {
    const clock = new FakeClock()
    const stats = () => {
      throw new MQError('CONSUME_FAILED', 'no figures')
    }
    const at = await stage({ stats, authenticate: () => ({ name: 'ops', stats: true }) }, { clock })
    const client = new TcpClient(at.tcpPort)
    client.send({ type: 'stats', id: 1 })
    await client.hears(2)
    clock.advance(1000)
    const said = await client.hears(3)
    for (const told of said.slice(1)) {
      expect(told).toMatchObject({ type: 'stats', id: 1, stats: { gateway: { clients: { tcp: 1, websocket: 0 } } } })
    }
    expect(at.errors.map(({ message }) => message)).toEqual(new Array(2).fill('stats failed: no figures'))
  })
})
