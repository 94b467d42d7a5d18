/**
 * Any order of commits, answers, delays, rebalances and losses: what the coordinator stores never goes backwards unless
 * a caller asked for it, one commit is outstanding, and every promise settles exactly once.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { at, Fate, lost, ScriptedCoordinator } from './scripted-coordinator.js'

const PARTITIONS = 3
const CODES = [0, 0, 0, 0, 14, 15, 16, 27, 3, 12, 113, 25, -1]

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      mask: fc.integer({ min: 1, max: 7 }),
      ms: fc.integer({ min: 1, max: 4_000 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      codes: fc.array(fc.constantFrom(...CODES), { minLength: 3, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('break' as const), isStored: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 500 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('generation' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lose' as const), partition: fc.integer({ min: 0, max: 2 }) }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

class Play {
  readonly cluster = new ScriptedCoordinator()
  readonly committer = this.cluster.committer()
  readonly fates: Fate[] = []
  readonly stored = new Map<string, number>()
  readonly acknowledged: { fate: Fate; values: [string, number][] }[] = []
  readonly newest = new Map<string, number>()
  #seen = 0 // requests that were looked at
  next = 1 // each value is greater than every earlier one
  most = 0

  async play(step: Step): Promise<void> {
    if (step.kind === 'commit') this.commit(step.mask, step.ms)
    if (step.kind === 'answer') this.answer(step.codes)
    if (step.kind === 'break') this.break(step.isStored)
    if (step.kind === 'wait') await this.cluster.advance(step.ms)
    if (step.kind === 'generation') this.cluster.member?.generation((this.cluster.member.identity?.generation ?? 0) + 1)
    if (step.kind === 'lose') this.committer.forget([{ topic: 't', partition: step.partition }])
    await this.cluster.turn()
    this.look()
    this.most = Math.max(this.most, this.cluster.outstanding)
  }

  commit(mask: number, ms: number): void {
    const offsets = [0, 1, 2]
      .filter((partition) => mask & (1 << partition))
      .map((partition) => at(partition, this.next++))
    const fate = new Fate(this.committer.commit(offsets, this.cluster.clock.monotonicMs() + ms))
    this.fates.push(fate)
    for (const { partition, offset } of offsets) this.newest.set(`t/${partition}`, offset)
    this.acknowledged.push({ fate, values: offsets.map(({ partition, offset }) => [`t/${partition}`, offset]) })
  }

  /** Whatever is sent is the newest value that was called for. */
  look(): void {
    for (const { values } of this.cluster.held.slice(this.#seen)) {
      for (const value of values) {
        const [key, offset] = value.split('=') as [string, string]
        expect(Number(offset), `C-31: ${key} is sent although a newer value waits`).toBe(this.newest.get(key))
      }
    }
    this.#seen = this.cluster.held.length
  }

  answer(codes: readonly number[]): void {
    const request = this.cluster.last
    if (request === undefined || request.isAnswered) return
    const byKey = Object.fromEntries(codes.map((code, partition) => [`t/${partition}`, code]))
    this.store(request.values.filter((value) => byKey[value.split('=')[0] as string] === 0))
    request.answer(byKey)
  }

  /** The connection is lost, before or after the coordinator has stored the offsets. */
  break(isStored: boolean): void {
    const request = this.cluster.last
    if (request === undefined || request.isAnswered) return
    if (isStored) this.store(request.values)
    request.fail(lost(true))
  }

  store(values: readonly string[]): void {
    for (const value of values) {
      const [key, offset] = value.split('=') as [string, string]
      expect(Number(offset), `C-31: ${key} went back`).toBeGreaterThanOrEqual(this.stored.get(key) ?? 0)
      this.stored.set(key, Number(offset))
    }
  }
}

describe('Committer', () => {
  it('C-31: no order of answers makes a stored offset older, and every promise settles once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const play = new Play()
        for (const one of steps) await play.play(one)
        // Then everything is answered well, and every deadline passes.
        for (let round = 0; round < 60; round++) {
          play.answer(Array.from({ length: PARTITIONS }, () => 0))
          await play.cluster.advance(100)
        }
        expect(play.most, 'C-31: one commit is outstanding').toBeLessThanOrEqual(1)
        expect(play.fates.map(({ settlements }) => settlements)).toEqual(play.fates.map(() => 1))
        for (const { fate, values } of play.acknowledged) {
          if (fate.text !== 'stored') continue
          for (const [key, offset] of values) expect(play.stored.get(key)).toBeGreaterThanOrEqual(offset)
        }
        play.committer.close()
        expect(play.cluster.clock.pendingTimers).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})
