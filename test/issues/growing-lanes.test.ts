/**
 * Lanes that grow while their broker is busy leave when linger is over. Two that did not: one whose first record was
 * older than that of the lane the timer stood for, and one that was queued, had to grow again because others left
 * first, and was then in nobody's list: it waited until its broker was idle, or until its deadline.
 */
import { expect, it } from 'vitest'
import type { BrokerLink } from '../../lib/cluster/index.js'
import type { Lane } from '../../lib/producer/lane.js'
import { Sender, type SenderHost } from '../../lib/producer/sender.js'
import { FakeClock } from '../../lib/util/index.js'

function scene() {
  const clock = new FakeClock()
  const link = { brokerId: 1, isReady: true, hasRoom: true, onRoom: null } as unknown as BrokerLink
  const settings = { lingerMs: 60, isIdempotent: false }
  const sender = new Sender(link, { clock, settings } as unknown as SenderHost)
  const left: string[] = []
  const lane = (name: string, leavesAtMs: number, isReady = false) => ({
    home: sender,
    isQueued: false,
    isWatched: false,
    isReady,
    canSend() {
      return this.isReady
    },
    get isGrowing() {
      return !this.isReady
    },
    nextKey: () => 1,
    lingerLeftMs: () => leavesAtMs - clock.monotonicMs(),
    leaveIfDue: () => left.push(name),
  })
  return { clock, sender, left, lane, startMs: clock.monotonicMs() }
}

it('PR-9: a lane with an older first record does not wait for a younger one', () => {
  const { clock, sender, left, lane, startMs } = scene()
  sender.enqueue(lane('young', startMs + 50) as unknown as Lane)
  sender.enqueue(lane('old', startMs + 10) as unknown as Lane)
  clock.advance(11)
  expect(left).toEqual(['old'])
})

it('PR-9: a lane that was queued and must grow again is under watch', () => {
  const { clock, sender, left, lane, startMs } = scene()
  const late = lane('late', startMs + 30, true)
  sender.enqueue(late as unknown as Lane)
  late.isReady = false
  clock.advance(31)
  clock.advance(31)
  expect(left).toEqual(['late'])
})
