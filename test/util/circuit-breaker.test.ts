import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CircuitBreaker, type CircuitState, FakeClock } from '../../lib/util/index.js'

const LIMITS = { failures: 5, successes: 2, timeoutMs: 60_000 }

function setUp(limits = LIMITS) {
  const clock = new FakeClock()
  const changes: string[] = []
  const breaker = new CircuitBreaker({ ...limits, clock, onChange: (from, to) => changes.push(`${from} -> ${to}`) })
  const fail = (times = 1) => {
    for (let at = 0; at < times; at++) breaker.failed(breaker.begin())
  }
  return { clock, breaker, changes, fail }
}

describe('CircuitBreaker', () => {
  it('PR-19: five failures in a row open it, and a success between them does not count as a row', () => {
    const { breaker, changes, fail } = setUp()
    fail(4)
    breaker.succeeded(breaker.begin())
    fail(4)
    expect(breaker.state).toBe('closed')
    fail()
    expect(breaker.state).toBe('open')
    expect(breaker.mayBegin).toBe(false)
    expect(changes).toEqual(['closed -> open'])
  })

  it('PR-19: after timeoutMs exactly one trial passes at a time, and two successes close it', () => {
    const { clock, breaker, changes, fail } = setUp()
    fail(5)
    clock.advance(59_999)
    expect(breaker.mayBegin).toBe(false)
    expect(breaker.waitMs).toBe(1)
    clock.advance(1)
    expect(breaker.state).toBe('halfOpen')
    expect(breaker.waitMs).toBe(0)
    const first = breaker.begin()
    expect(breaker.mayBegin).toBe(false)
    expect(() => breaker.begin()).toThrow('does not let any pass')
    breaker.succeeded(first)
    expect(breaker.state).toBe('halfOpen')
    breaker.succeeded(breaker.begin())
    expect(changes).toEqual(['closed -> open', 'open -> halfOpen', 'halfOpen -> closed'])
  })

  it('PR-19: one failed trial opens it again for the whole time', () => {
    const { clock, breaker, fail } = setUp()
    fail(5)
    clock.advance(60_000)
    breaker.succeeded(breaker.begin())
    fail()
    expect(breaker.state).toBe('open')
    expect(breaker.waitMs).toBe(60_000)
    clock.advance(60_000)
    breaker.succeeded(breaker.begin())
    expect(breaker.state, 'successes are counted anew').toBe('halfOpen')
  })

  it('PR-19: what began in an earlier state changes nothing', () => {
    const { clock, breaker, fail } = setUp()
    const late = breaker.begin()
    const other = breaker.begin()
    fail(5)
    breaker.succeeded(late)
    expect(breaker.state).toBe('open')
    clock.advance(60_000)
    const trial = breaker.begin()
    breaker.failed(other)
    breaker.abandoned(late)
    expect(breaker.state).toBe('halfOpen')
    expect(breaker.mayBegin, 'the trial is still under way').toBe(false)
    breaker.abandoned(trial)
    expect(breaker.mayBegin).toBe(true)
  })

  it('PR-19: connections that cannot be made count, but not while it is open', () => {
    const { clock, breaker, changes } = setUp()
    for (let at = 0; at < 9; at++) breaker.failedBeforehand()
    expect(changes).toEqual(['closed -> open'])
    clock.advance(60_000)
    breaker.failedBeforehand()
    expect(breaker.state).toBe('open')
  })

  it('P-51: closed it leaves no timer and says nothing any more', () => {
    const { clock, breaker, changes, fail } = setUp()
    fail(5)
    breaker.close()
    expect(clock.pendingTimers).toBe(0)
    clock.advance(60_000)
    breaker.failedBeforehand()
    expect(changes).toEqual(['closed -> open'])
  })

  it('PR-19: any series of attempts, outcomes and time follows the rules', () => {
    const step = fc.oneof(
      fc.constant('begin'),
      fc.constant('beforehand'),
      fc.record({ end: fc.constantFrom('succeeded', 'failed', 'abandoned'), which: fc.nat(9) }),
      fc.record({ waitMs: fc.integer({ min: 1, max: 80 }) }),
    )
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (steps, failures, successes) => {
          const { clock, breaker } = setUp({ failures, successes, timeoutMs: 50 })
          const model = new Model(failures, successes)
          let running: { attempt: number; term: number }[] = []
          for (const one of steps) {
            if (one === 'begin') {
              expect(breaker.mayBegin).toBe(model.mayBegin)
              if (breaker.mayBegin) running.push({ attempt: breaker.begin(), term: model.begin() })
            } else if (one === 'beforehand') {
              breaker.failedBeforehand()
              if (model.state !== 'open') model.ended('failed', model.term)
            } else if ('waitMs' in one) {
              clock.advance(one.waitMs)
              model.wait(one.waitMs)
            } else {
              const chosen = running[one.which % Math.max(1, running.length)]
              if (chosen === undefined) continue
              running = running.filter((other) => other !== chosen)
              breaker[one.end as 'failed'](chosen.attempt)
              model.ended(one.end, chosen.term)
            }
            expect(breaker.state).toBe(model.state)
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

/** The rules of PR-19, told a second time and as plainly as possible. */
class Model {
  state: CircuitState = 'closed'
  term = 0
  readonly #failures: number
  readonly #successes: number
  #count = 0
  #isTrying = false
  #leftMs = 0

  constructor(failures: number, successes: number) {
    this.#failures = failures
    this.#successes = successes
  }

  get mayBegin(): boolean {
    if (this.state === 'open') return false
    return this.state === 'closed' || !this.#isTrying
  }

  begin(): number {
    this.#isTrying = this.state === 'halfOpen'
    return this.term
  }

  ended(how: string, term: number): void {
    if (term !== this.term) return
    this.#isTrying = false
    if (this.state === 'closed') {
      this.#count = how === 'failed' ? this.#count + 1 : how === 'succeeded' ? 0 : this.#count
      if (this.#count >= this.#failures) this.#open()
    } else if (this.state === 'halfOpen') {
      if (how === 'failed') this.#open()
      if (how === 'succeeded' && ++this.#count >= this.#successes) this.#to('closed')
    }
  }

  wait(ms: number): void {
    if (this.state !== 'open') return
    this.#leftMs -= ms
    if (this.#leftMs <= 0) this.#to('halfOpen')
  }

  #open(): void {
    this.#to('open')
    this.#leftMs = 50
  }

  #to(state: CircuitState): void {
    this.state = state
    this.term++
    this.#count = 0
    this.#isTrying = false
  }
}
