/** B-1, B-5..B-9, B-11, B-12 as a table and as a property against a model that is written differently. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProducerStates } from '../../lib/broker/producer-state.js'

const PID = 9n
const LARGEST = 2 ** 31 - 1

function batch(baseSequence: number, count = 1, producerEpoch = 0, producerId = PID) {
  return { producerId, producerEpoch, baseSequence, count }
}

/** Appends as a broker does; the answer is `dup@offset`, `ok@offset` or the code. */
class Log {
  readonly states = new ProducerStates()
  end = 0

  send(sent: ReturnType<typeof batch>, timestamp = 0): string {
    const known = this.states.duplicateOf(sent)
    if (known !== undefined) return `dup@${known.lastOffset - known.offsetDelta}`
    const code = this.states.judge(sent, 'accept', this.end > 0)
    if (code !== 0) return String(code)
    const baseOffset = this.end
    this.end += sent.count
    this.states.remember(sent, this.end - 1, timestamp)
    return `ok@${baseOffset}`
  }
}

describe('producer states', () => {
  it('B-5: a resend is found up to 4 later batches, 45 from the fifth on', () => {
    const log = new Log()
    for (let sequence = 0; sequence < 5; sequence++) log.send(batch(sequence))
    expect(log.send(batch(0))).toBe('dup@0')
    log.send(batch(5))
    expect(log.send(batch(0))).toBe('45')
    expect(log.send(batch(1))).toBe('dup@1')
  })

  it('B-6, B-7: lower epoch 47, higher epoch starts at 0 and empties the memory', () => {
    const log = new Log()
    log.send(batch(0, 1, 5))
    expect(log.send(batch(1, 1, 4))).toBe('47')
    expect(log.send(batch(1, 1, 6))).toBe('45')
    expect(log.send(batch(0, 1, 6))).toBe('ok@1')
    expect(log.send(batch(0, 1, 5))).toBe('47')
  })

  it('B-8, B-9: an unknown producer, by rule', () => {
    const states = new ProducerStates()
    expect(states.judge(batch(7), 'accept', false)).toBe(0)
    expect(states.judge(batch(7), 'refuse59', true)).toBe(59)
    expect(states.judge(batch(7), 'refuse45WhenLogIsNew', false)).toBe(45)
    expect(states.judge(batch(7), 'refuse45WhenLogIsNew', true)).toBe(0)
    for (const rule of ['accept', 'refuse59', 'refuse45WhenLogIsNew'] as const) {
      expect(states.judge(batch(0), rule, false)).toBe(0)
    }
  })

  it('P-25: sequences wrap from 2147483647 to 0, also inside a batch', () => {
    const log = new Log()
    expect(log.send(batch(LARGEST - 1, 4))).toBe('ok@0')
    expect(log.send(batch(3))).toBe('45')
    expect(log.send(batch(2))).toBe('ok@4')
    expect(log.send(batch(LARGEST - 1, 4))).toBe('dup@0')
  })

  it('B-11: expiry counts from the last record time; B-12: a snapshot keeps the last batch', () => {
    const log = new Log()
    log.send(batch(0), 100)
    log.send(batch(1), 200)
    const copy = log.states.snapshot()
    expect(copy.entries()[0]?.batches).toHaveLength(1)
    expect(copy.duplicateOf(batch(0))).toBeUndefined()
    expect(log.states.duplicateOf(batch(0))).toBeDefined()
    expect(log.states.expire(1199, 1000)).toBe(0)
    expect(log.states.expire(1200, 1000)).toBe(1)
    expect(copy.size).toBe(1)
  })

  it('property: whatever is sent, offsets are given once, in sequence, and duplicates get their own', () => {
    const step = fc.record({ back: fc.integer({ min: -2, max: 7 }), count: fc.integer({ min: 1, max: 3 }) })
    fc.assert(
      fc.property(
        fc.integer({ min: LARGEST - 20, max: LARGEST }),
        fc.array(step, { maxLength: 60 }),
        (first, steps) => {
          const log = new Log()
          // The model keeps every accepted batch as absolute numbers and reduces modulo 2^31 only when sending.
          const accepted: { from: number; count: number; offset: number }[] = []
          for (const { back, count } of [{ back: 0, count: 1 }, ...steps]) {
            const last = accepted.at(-1)
            const next = last === undefined ? first : last.from + last.count
            const old = back > 0 ? accepted.at(-back) : undefined
            const from = old?.from ?? next - Math.min(0, back)
            const size = old?.count ?? count
            const answer = log.send(batch(from % 2 ** 31, size))
            const isRemembered = old !== undefined && back <= 5
            const expected = isRemembered ? `dup@${old.offset}` : from === next ? `ok@${log.end - size}` : '45'
            expect(answer).toBe(expected)
            if (answer.startsWith('ok')) accepted.push({ from, count: size, offset: log.end - size })
          }
          expect(log.end).toBe(accepted.reduce((sum, one) => sum + one.count, 0))
        },
      ),
    )
  })
})
