/** Every reason why nothing may come, read off cursor and broker; and when it is told. */
import { describe, expect, it } from 'vitest'
import type { RecordSink } from '../../lib/consumer/cursor.js'
import { HOLD, PartitionCursor } from '../../lib/consumer/cursor.js'
import type { WarningEvent } from '../../lib/consumer/events.js'
import type { BrokerStatus } from '../../lib/consumer/fetch/broker-fetcher.js'
import { type StallSituation, StallWatch, stallReason } from '../../lib/consumer/stall-watch.js'
import { MQError } from '../../lib/errors/index.js'
import { FakeClock, silentLogger } from '../../lib/util/index.js'
import { numbered } from './batches.js'

const CONNECTED: BrokerStatus = {
  brokerId: 4,
  isReady: true,
  isBackingOff: false,
  isStarved: false,
  outstandingSinceMs: -1,
}

function cursorWith(change: (cursor: PartitionCursor) => void = () => {}, running = 0, isPulled = false) {
  const sink = { running } as RecordSink
  const settings = { copies: true, checkCrcs: true, keyDeserializer: undefined, valueDeserializer: undefined }
  const perRecord = isPulled ? null : () => {}
  const made = new PartitionCursor('t', 7, { perRecord, perBatch: null, sink }, settings, { freed: () => {} })
  made.moveTo(5)
  made.end = 105
  change(made)
  return made
}

function fill(cursor: PartitionCursor): void {
  const bytes = numbered(5, 3)
  cursor.reader.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
}

function situation(more: Partial<StallSituation> = {}): StallSituation {
  return { nowMs: 100_000, memberState: null, broker: CONNECTED, fetchMaxWaitMs: 500, ...more }
}

describe('stallReason', () => {
  const failed = new MQError('CONSUME_FAILED', 'the batch is broken')
  const timer = { cancel() {} }

  it.each<[string, PartitionCursor, Partial<StallSituation>, string, RegExp]>([
    [
      'failed',
      cursorWith((c) => {
        c.hold(HOLD.failed)
        c.failure = failed
      }),
      {},
      'partition failed',
      /the batch is broken.*seek/,
    ],
    ['paused', cursorWith((c) => c.hold(HOLD.paused)), {}, 'paused', /resume/],
    ['given back', cursorWith((c) => c.hold(HOLD.leaving)), { memberState: 'stable' }, 'rebalancing', /given back/],
    [
      'no position while joining',
      cursorWith((c) => c.hold(HOLD.position)),
      { memberState: 'joining' },
      'rebalancing',
      /joining/,
    ],
    [
      'no position',
      cursorWith((c) => c.hold(HOLD.position)),
      { memberState: 'stable' },
      'position unknown',
      /position/,
    ],
    [
      'in its callback',
      cursorWith((c) => {
        c.isBusy = true
        c.busySinceMs = 40_000
      }),
      {},
      'callback running',
      /since 60 s for offset 5/,
    ],
    [
      'read by hand',
      cursorWith(
        (c) => {
          c.isBusy = true
          c.busySinceMs = 40_000
        },
        1,
        true,
      ),
      {},
      'not read',
      /offset 5 was read.*60 s/,
    ],
    [
      'retrying',
      cursorWith((c) => {
        c.retryTimer = timer
        c.attempts = 3
      }),
      {},
      'waiting for retry',
      /failed 3 times/,
    ],
    ['behind others', cursorWith(fill, 2), {}, 'callback running', /2 callbacks of other partitions/],
    ['unread', cursorWith(fill, 0, true), {}, 'not read', /nobody reads/],
    [
      'back-off after a code',
      cursorWith((c) => {
        c.hold(HOLD.backoff)
        c.reportedCode = 6
        c.failures = 5
      }),
      {},
      'back-off',
      /error 6 NOT_LEADER_OR_FOLLOWER/,
    ],
    [
      'back-off',
      cursorWith((c) => {
        c.hold(HOLD.backoff)
        c.failures = 2
      }),
      {},
      'back-off',
      /after 2 failures/,
    ],
    ['no leader', cursorWith(), { broker: null }, 'no leader', /nobody leads it/],
    [
      'not connected',
      cursorWith(),
      { broker: { ...CONNECTED, isReady: false } },
      'broker silent',
      /broker 4 is not connected/,
    ],
    ['fetch failed', cursorWith(), { broker: { ...CONNECTED, isBackingOff: true } }, 'back-off', /broker 4 failed/],
    [
      'silent',
      cursorWith(),
      { broker: { ...CONNECTED, outstandingSinceMs: 90_000 } },
      'broker silent',
      /has not answered a fetch for 10 s/,
    ],
    ['no credit', cursorWith(), { broker: { ...CONNECTED, isStarved: true } }, 'no credit', /prefetchBytes/],
    ['its share is used up', cursorWith((c) => c.hold(HOLD.full)), {}, 'no credit', /prefetchBytes/],
    ['rebalancing', cursorWith(), { memberState: 'reconciling' }, 'rebalancing', /reconciling/],
    ['without a group', cursorWith(), { memberState: 'unsubscribed' }, 'unknown', /without records of it/],
    [
      'nothing known',
      cursorWith(),
      { broker: { ...CONNECTED, outstandingSinceMs: 99_700 } },
      'unknown',
      /without records of it/,
    ],
  ])('C-43: %s', (_name, cursor, more, cause, text) => {
    const found = stallReason(cursor, situation(more))
    expect(found.cause).toBe(cause)
    expect(found.text).toMatch(text)
  })
})

function stage(cursors: PartitionCursor[]) {
  const clock = new FakeClock()
  const warnings: WarningEvent[] = []
  const debugs: string[] = []
  const now: { broker: BrokerStatus | null } = { broker: CONNECTED }
  const watch = new StallWatch({
    clock,
    cursors: () => cursors,
    situation: () => situation({ nowMs: clock.monotonicMs(), broker: now.broker }),
    warn: (event) => void warnings.push(event),
    logger: { ...silentLogger, debug: (message) => void debugs.push(message) },
  })
  return { clock, warnings, debugs, watch, now }
}

describe('StallWatch', () => {
  it('C-43: one warning per stall, after 30 s, with partition, lag, since when and why; again when the reason changes', () => {
    const cursor = cursorWith()
    const { clock, warnings, watch, now } = stage([cursor])
    watch.start()
    watch.start()
    clock.advance(29_999)
    expect(warnings).toEqual([])
    now.broker = null
    clock.advance(60_000)
    expect(warnings).toEqual([
      {
        message:
          'nothing of t/7 was delivered for 30 s, 100 records wait: nobody leads it just now, as far as metadata tells',
        context: { topic: 't', partition: 7, position: 5, lag: 100, cause: 'no leader', stalledMs: 30_000 },
      },
    ])
    now.broker = { ...CONNECTED, isReady: false }
    clock.advance(60_000)
    expect(warnings.map(({ context }) => context)).toMatchObject([{ cause: 'no leader' }, { cause: 'broker silent' }])
  })

  it('C-43: moving, having nothing to read and being sought elsewhere are no stalls; another stall is told again', () => {
    const [moving, idle] = [
      cursorWith(),
      cursorWith((c) => {
        c.end = 5
      }),
    ]
    const { clock, warnings, watch } = stage([moving, idle])
    watch.start()
    for (let step = 0; step < 20; step++) {
      moving.position++
      clock.advance(10_000)
    }
    expect(warnings).toEqual([])
    clock.advance(40_000)
    expect(warnings).toHaveLength(1)
    moving.moveTo(moving.position)
    clock.advance(20_000)
    expect(warnings).toHaveLength(1)
    clock.advance(30_000)
    expect(warnings).toHaveLength(2)
  })

  it('C-43: a partition whose position or end was never known stalls, too', () => {
    const lost = cursorWith((c) => {
      c.position = -1
      c.hold(HOLD.position)
    })
    const silent = cursorWith((c) => {
      c.end = -1
    })
    const { clock, warnings, watch, now } = stage([lost, silent])
    now.broker = { ...CONNECTED, isReady: false }
    watch.start()
    clock.advance(40_000)
    expect(warnings.map(({ context }) => context)).toMatchObject([
      { cause: 'position unknown', lag: -1 },
      { cause: 'broker silent', lag: -1 },
    ])
    expect(warnings[1]?.message).toMatch(/its end is not known/)
  })

  it('C-43, CO-7: whoever paused it knows: told to the log once, not as a warning', () => {
    const cursor = cursorWith((c) => c.hold(HOLD.paused))
    const { clock, warnings, debugs, watch } = stage([cursor])
    watch.start()
    clock.advance(300_000)
    expect([warnings.length, debugs.length]).toEqual([0, 1])
    cursor.release(HOLD.paused)
    clock.advance(10_000)
    expect(warnings).toHaveLength(1)
  })

  it('K-23: no timer without partitions, and none after close', () => {
    const cursors = [cursorWith()]
    const { clock, watch } = stage(cursors)
    watch.start()
    expect(clock.pendingTimers).toBe(1)
    cursors.length = 0
    clock.advance(10_000)
    expect(clock.pendingTimers).toBe(0)
    cursors.push(cursorWith())
    watch.start()
    expect(clock.pendingTimers).toBe(1)
    watch.close()
    watch.start()
    expect(clock.pendingTimers).toBe(0)
  })
})
