import { describe, expect, it } from 'vitest'
import { RecordClock, RecordTime } from '../../lib/producer/record-clock.js'
import { FakeClock } from '../../lib/util/index.js'

/** Counts readings. */
class CountingClock extends FakeClock {
  readings = 0
  override now(): number {
    this.readings++
    return super.now()
  }
}

/** The time a record would get now. */
function timeOf(times: RecordClock): number {
  const time = new RecordTime()
  times.stamp(time)
  return time.ms
}

describe('RecordClock', () => {
  it('PR-5: records of a fast burst share readings, at most 32 each', () => {
    const clock = new CountingClock()
    const times = new RecordClock(clock)
    for (let record = 0; record < 3200; record++) expect(timeOf(times)).toBe(1_700_000_000_000)
    expect(clock.readings).toBeGreaterThanOrEqual(100)
    expect(clock.readings).toBeLessThan(115)
  })

  it('PR-5: records that come one per millisecond or slower each have their own time', () => {
    const clock = new CountingClock()
    const times = new RecordClock(clock)
    for (let record = 0; record < 50; record++) {
      expect(timeOf(times)).toBe(1_700_000_000_000 + record * 2)
      clock.advance(2)
    }
  })

  it('PR-5: a pause after a burst is seen by the very next record', () => {
    const clock = new CountingClock()
    const times = new RecordClock(clock)
    for (let record = 0; record < 1000; record++) timeOf(times)
    clock.advance(5000) // Another turn of the event loop.
    expect(timeOf(times)).toBe(1_700_000_005_000)
  })

  it('PR-5: work between the records of one turn is noticed after one sharing at the latest', () => {
    const clock = new CountingClock()
    const times = new RecordClock(clock)
    for (let record = 0; record < 1000; record++) timeOf(times)
    let wrong = 0
    for (let record = 0; record < 200; record++) {
      clock.jumpWallClock(10) // As if a computation took 10 ms; no turn ends.
      if (timeOf(times) !== clock.now()) wrong++
    }
    expect(wrong).toBeLessThanOrEqual(32)
  })
})
