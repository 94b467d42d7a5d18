/**
 * F-1: the conversations with a coordinator of KIP-848 groups that the in-process broker is held to
 * (test/broker/groups-848.test.ts), asked of the Kafka at hand. A difference means that the recording is no longer true, or
 * of another release.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { FindCoordinator } from '../../lib/protocol/index.js'
import {
  dynamicConsumers,
  refusals,
  type Stage,
  staticConsumers,
  subscribers,
} from '../broker/consumer-group-scenario.js'
import { RawClient } from '../broker/raw-client.js'
import recorded from '../fixtures/groups-848.json' with { type: 'json' }
import { eventually } from '../support/eventually.js'
import { brokers, describeWithKafka } from '../support/real-kafka.js'

const LIMIT_MS = 20_000
/** A new coordinator says who it is a little before it has loaded its log. */
const LOADED_MS = 1000
/** What a broker needs to hear of a new topic, or to match a new pattern. */
const PAUSE_MS = 300

describeWithKafka('F-1: groups of KIP-848', () => {
  let stage: Stage

  beforeAll(async () => {
    const raw = await RawClient.connect(brokers[0] as string)
    stage = { raw, pause: () => sleep(PAUSE_MS) }
    await eventually(
      'a group has a coordinator',
      async () => {
        const answer = await raw.request(FindCoordinator, 4, { keyType: 0, coordinatorKeys: ['groups'] })
        return answer.coordinators[0]?.errorCode === 0
      },
      LIMIT_MS,
    )
    await sleep(LOADED_MS)
  })
  afterAll(() => stage.raw.close())

  it.runIf(brokers.length === 1).each([
    ['refusals', refusals, recorded.refusals],
    ['dynamic members', dynamicConsumers, recorded.dynamicConsumers],
    ['static members', staticConsumers, recorded.staticConsumers],
    ['subscriptions', subscribers, recorded.subscribers],
  ] as const)(
    'F-1: %s are answered as recorded on 4.1.1',
    async (_name, play, answers) => {
      expect(await play(stage, `b1-${play.name}-${Date.now().toString(36)}`)).toEqual(answers)
    },
    60_000,
  )
})
