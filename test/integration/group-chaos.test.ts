/**
 * A group under traffic while its members come, go, die and are stopped, on a real Kafka, both protocols.
 * What is claimed: every record at least once; in order within an ownership; twice only what its first owner had
 * processed and not committed when it was killed or stopped; partitions that do not move do not stop.
 */
import { describe, expect, it } from 'vitest'
import { runChaos, type Step, type Verdict } from '../support/group-chaos/chaos.js'
import { bootstrap, createTopic, describeWithKafka } from '../support/real-kafka.js'

const DURATION_MS = 60_000
const PARTITIONS = 6
const RATE = 1_200

/** Joins, a clean leave, a kill, a pause longer than the session and a short one. */
const PLAN: readonly Step[] = [
  { atMs: 0, what: 'join', member: 'a' },
  { atMs: 500, what: 'join', member: 'b' },
  { atMs: 6_000, what: 'join', member: 'c' },
  { atMs: 14_000, what: 'kill', member: 'a' },
  { atMs: 22_000, what: 'join', member: 'd' },
  { atMs: 28_000, what: 'leave', member: 'b' },
  { atMs: 32_000, what: 'join', member: 'e' },
  { atMs: 37_000, what: 'stop', member: 'c' },
  { atMs: 39_000, what: 'continue', member: 'c' }, // shorter than the session: nothing happens
  { atMs: 42_000, what: 'stop', member: 'd' },
  { atMs: 53_000, what: 'continue', member: 'd' }, // longer: it has lost its partitions
]

function print(protocol: string, verdict: Verdict): void {
  const { produced, processed, repeatedAfterKill, repeatedAfterLoss, ownerships, errors } = verdict
  const text = `${protocol}: ${produced} produced, ${processed} processed, repeated ${repeatedAfterKill} after the kill, ${repeatedAfterLoss} after the long stop, ${verdict.repeatedWithoutCause.length} without cause, ${ownerships} ownerships, ${errors.length} error events`
  process.stdout.write(`group chaos, ${text}\n`)
}

describeWithKafka('C-39, C-40: a group of three under traffic', () => {
  describe.concurrent('60 s', () => {
    it.for(['classic', 'consumer'] as const)(
      '%s: joins, leaves, SIGKILL, SIGSTOP',
      { timeout: 240_000 },
      async (protocol, { expect: expectHere }) => {
        const topic = await createTopic(`chaos-${protocol}`, { partitions: PARTITIONS })
        const verdict = await runChaos({
          brokers: bootstrap,
          topic,
          groupId: `${topic}-group`,
          protocol,
          partitions: PARTITIONS,
          durationMs: DURATION_MS,
          recordsPerSecond: RATE,
          plan: PLAN,
        })
        print(protocol, verdict)
        expectHere(verdict.missing).toEqual([])
        expectHere(verdict.processed).toBe(verdict.produced)
        expectHere(verdict.outOfOrder).toEqual([])
        expectHere(verdict.repeatedWithoutCause).toEqual([])
        expectHere(verdict.stoppedWithoutMoving).toEqual([])
        // Only who was stopped for longer than its session has anything to complain of.
        expectHere(verdict.errors.filter((error) => !error.startsWith('d:'))).toEqual([])
        // What was processed since the last commit (0.5 s) of at most half of the partitions, with room for a slow machine.
        expectHere(verdict.repeatedAfterKill).toBeLessThan(RATE * 3)
      },
    )
  })
  it('the plan has every kind of trouble', () => {
    expect(new Set(PLAN.map(({ what }) => what))).toEqual(new Set(['join', 'kill', 'leave', 'stop', 'continue']))
  })
})
