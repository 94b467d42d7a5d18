/**
 * The facts about idempotence on which producer, log and in-process broker rest, asked of the Kafka at hand (kafka.md
 * section 4, ruling 7). Recorded on 4.1.1; KAFKA_VERSION asks another release.
 * Scenarios that restart the broker, or need its producer ids to expire soon, run only where a Kafka may be started.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { replay, type Scenario } from '../support/interop-transcripts.js'
import { describeWithKafka, type OwnKafka, sharedKafka, startOwnKafka } from '../support/real-kafka.js'
import { hasVectors, vectors } from '../support/vectors.js'

const recording = hasVectors ? vectors('idempotence-transcripts.json') : { recordedAtMs: 0, scenarios: [] }
const recordedAtMs = Number(recording.recordedAtMs)
/** Scenario g looks at what the others left behind on one broker, which here keep apart. */
const scenarios: Scenario[] = recording.scenarios.filter(({ id }: Scenario) => id !== 'g')
const mayRestart = sharedKafka.stateFolder !== null
const whyNot = mayRestart ? '' : ' (skipped: the Kafka of KAFKA_BROKERS belongs to somebody else)'

const restarts = ({ steps }: Scenario) => steps.some(({ op }) => op === 'restart')
const expires = ({ broker }: Scenario) => Object.keys(broker).length > 0

describeWithKafka('transcripts of idempotence', () => {
  if (!hasVectors) it.skip('need the vectors (TANDEM_VECTORS), which are not here', () => {})

  for (const scenario of scenarios.filter((one) => !restarts(one) && !expires(one))) {
    it(`F-1 ${scenario.id}: ${scenario.title}`, async () => {
      expect(await replay(scenario, sharedKafka, recordedAtMs)).toEqual([])
    })
  }

  it.runIf(hasVectors)('F-1 a replay that decides otherwise is told, with its step', async () => {
    const [first] = scenarios as [Scenario]
    const wrong = JSON.parse(JSON.stringify(first).replace('"errorCode":45', '"errorCode":47')) as Scenario
    expect(JSON.stringify(wrong)).not.toBe(JSON.stringify(first))
    const differences = await replay(wrong, sharedKafka, recordedAtMs)
    expect(differences.map(({ expected, found }) => [expected, found])).toEqual([
      [[expect.objectContaining({ errorCode: 47 })], [expect.objectContaining({ errorCode: 45 })]],
    ])
  })

  for (const scenario of scenarios.filter(restarts)) {
    it.runIf(mayRestart)(`F-1 ${scenario.id}: ${scenario.title}${whyNot}`, async () => {
      expect(await replay(scenario, sharedKafka, recordedAtMs)).toEqual([])
    })
  }

  describe.runIf(mayRestart && hasVectors)(`with producer ids that expire soon${whyNot}`, () => {
    const expiring = scenarios.filter(expires)
    let own: OwnKafka | undefined
    beforeAll(() => {
      own = startOwnKafka(expiring[0]?.broker ?? {})
    })
    afterAll(() => own?.stop())

    for (const scenario of expiring) {
      it(`F-1 ${scenario.id}: ${scenario.title}`, async () => {
        expect(scenario.broker).toEqual(expiring[0]?.broker)
        expect(await replay(scenario, own as OwnKafka, recordedAtMs)).toEqual([])
      })
    }
  })
})
