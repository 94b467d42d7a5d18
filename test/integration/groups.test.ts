/**
 * F-1: the conversations with a group coordinator that the in-process broker is held to (test/broker/groups.test.ts), asked
 * of the Kafka at hand. A difference means that the recording is no longer true, or of another release.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { DescribeGroups, FindCoordinator } from '../../lib/protocol/index.js'
import { RawClient } from '../broker/raw-client.js'
import recorded from '../fixtures/groups.json' with { type: 'json' }
import { eventually } from '../support/eventually.js'
import { choices, dynamicMembers, type Stage, staticMembers } from '../support/group-scenario.js'
import { createTopicNamed } from '../support/interop-kafkajs.js'
import { brokers, describeWithKafka } from '../support/real-kafka.js'

const LIMIT_MS = 20_000
/** A new coordinator says who it is a little before it has loaded its log. */
const LOADED_MS = 1000

describeWithKafka('F-1: classic groups', () => {
  const clients: RawClient[] = []
  let stage: Stage

  async function connect(): Promise<RawClient> {
    const client = await RawClient.connect(brokers[0] as string)
    clients.push(client)
    return client
  }

  beforeAll(async () => {
    const watcher = await connect()
    await createTopicNamed(brokers, 't', 2).catch(() => {}) // the scenarios name it; it may be there already
    await eventually(
      'a group has a coordinator',
      async () => {
        const answer = await watcher.request(FindCoordinator, 4, { keyType: 0, coordinatorKeys: ['groups'] })
        return answer.coordinators[0]?.errorCode === 0
      },
      LIMIT_MS,
    )
    await sleep(LOADED_MS)
    stage = {
      connect,
      reached: (groupId, state) =>
        eventually(
          `${groupId} is ${state}`,
          async () => {
            const body = { groups: [groupId], includeAuthorizedOperations: false }
            return (await watcher.request(DescribeGroups, 5, body)).groups[0]?.groupState === state
          },
          LIMIT_MS,
        ),
    }
  })
  afterAll(() => {
    for (const client of clients) client.close()
  })

  it.runIf(brokers.length === 1).each([
    ['dynamic members', dynamicMembers, recorded.dynamicMembers],
    ['static members', staticMembers, recorded.staticMembers],
    ['protocols, limits and offsets', choices, recorded.choices],
  ] as const)('F-1: %s are answered as recorded on 4.1.1', async (_name, play, answers) => {
    expect(await play(stage, `${play.name}-${Date.now()}`)).toEqual(answers)
  })
})
