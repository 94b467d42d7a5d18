/**
 * While the coordinator was silent, each interval of `autoCommit` added a commit that waited; when the membership ended,
 * all of them failed in one moment: 46 equal `error` events within a millisecond (found on a real Kafka, a node stopped by
 * SIGSTOP). Their text ended in ": null", because a missing cause was given as null.
 */
import { expect, it } from 'vitest'
import { resolveConsumerConfig } from '../../lib/config/index.js'
import { ConsumerCounters } from '../../lib/consumer/counters.js'
import type { ConsumerEvents } from '../../lib/consumer/events.js'
import { AutoCommit, type AutoCommitParts } from '../../lib/consumer/group/auto-commit.js'
import { outlived } from '../../lib/consumer/group/offsets/identity.js'
import type { MQError } from '../../lib/errors/index.js'
import { type Deferred, deferred, Emitter, FakeClock, silentLogger } from '../../lib/util/index.js'

function stage() {
  const clock = new FakeClock()
  const events = new Emitter<ConsumerEvents>(() => {})
  const errors: MQError[] = []
  events.on('error', (error) => errors.push(error))
  const cursor = { topic: 't', partition: 0, position: 7, positionEpoch: 1, isUncommitted: true, wasCommitted() {} }
  const commits: { offset: number | undefined; done: Deferred<void> }[] = []
  const committer = {
    commit: (offsets: readonly { offset: number }[]) => {
      const done = deferred<void>()
      commits.push({ offset: offsets[0]?.offset, done })
      return done.promise
    },
  }
  const config = resolveConsumerConfig({ groupId: 'g', autoCommitIntervalMs: 200, logger: silentLogger })
  const reading = { cursors: [cursor], fetcher: { assigned: { get: () => cursor } } }
  const parts = { config, clock, events, counters: new ConsumerCounters(), reading, committer }
  const commit = new AutoCommit(parts as unknown as AutoCommitParts, () => true)
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let n = 0; n < 10; n++) await Promise.resolve()
  }
  return { commit, commits, cursor, errors, pass }
}

it('CO-9, K-22: one commit of the interval is under way at a time, and an outage is told once', async () => {
  const { commit, commits, cursor, errors, pass } = stage()
  commit.arm()
  for (let n = 0; n < 50; n++) {
    cursor.position++
    await pass(200)
  }
  expect(commits.map(({ offset }) => offset)).toEqual([8])
  commits[0]?.done.reject(outlived('g', 't/0', null))
  await pass(0)
  expect(errors.map(({ code }) => code)).toEqual(['REBALANCE_IN_PROGRESS'])
  await pass(200)
  expect(commits.map(({ offset }) => offset)).toEqual([8, 57])
  commits[1]?.done.resolve()
  await pass(0)
  cursor.position = 60
  await pass(200)
  expect(commits.at(-1)?.offset).toBe(60)
  commit.stop()
})

it('an error without a cause ends where it ends', () => {
  const error = outlived('g', 't/0', null)
  expect(error.cause).toBeUndefined()
  expect(String(error)).not.toContain('null')
})
