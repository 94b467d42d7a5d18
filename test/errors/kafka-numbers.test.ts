/**
 * ER-3 by operation: what a user gets for every error number from -1 to 133, and for some that no Kafka knows, when a broker
 * answers it to a produce, fetch, commit, join or create request. The table of names alone is checked in codes.test.ts.
 * Why over the broker: each operation has a judge of its own, and any of them could lose the number or the verdict.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../lib/broker/index.js'
import { type ErrorCode, MQError } from '../../lib/index.js'
import { LAST_NUMBER, NUMBERS_OF, RETRIED, RETRYABLE_ANSWERS, SUCCESS, UNKNOWN_NUMBERS } from './part-four.js'
import { expectNoSecrets, Scene } from './provoked/scene.js'

const ALL = [...Array.from({ length: LAST_NUMBER + 2 }, (_, index) => index - 1), ...UNKNOWN_NUMBERS]
const RETRYABLE_CODES: readonly ErrorCode[] = ['TIMEOUT', 'CONNECTION_FAILED', 'REBALANCE_IN_PROGRESS']
const ORDERS = { topic: 'orders', partition: 0 }

/** Part 4: the code of a number, or that of the operation. */
function codeOf(number: number, operation: ErrorCode): ErrorCode {
  const [own] = Object.entries(NUMBERS_OF).find(([, numbers]) => numbers.includes(number)) ?? []
  return (own as ErrorCode | undefined) ?? operation
}

function isRetryable(number: number, operation: ErrorCode): boolean {
  const isOwn = RETRYABLE_CODES.includes(codeOf(number, operation)) && codeOf(number, operation) !== operation
  return RETRIED.includes(number) || RETRYABLE_ANSWERS.includes(number) || isOwn
}

/** The error that was made from the answer: the innermost that names a number. */
function madeFrom(outcome: unknown): MQError | null {
  let found: MQError | null = null
  for (let at = outcome; at instanceof MQError; at = at.cause) if (at.context.kafkaCode !== undefined) found = at
  return found
}

interface Operation {
  readonly name: string
  readonly failure: ErrorCode
  readonly isDriven: boolean
  /** What came of the operation when the broker answers `number` to it, always. Null: success. */
  readonly ask: (scene: Scene, number: number) => Promise<unknown>
  readonly success: readonly number[]
  /** Numbers that say nothing of the request, but of the broker that was asked: the code of `failure` would mislead. */
  readonly notNow?: readonly number[]
}

const refused = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  )

const OPERATIONS: readonly Operation[] = [
  {
    name: 'produce',
    failure: 'PRODUCE_FAILED',
    isDriven: true,
    ask: async (scene, number) => {
      const broker = await scene.broker()
      broker.on({ api: 'Produce' }, fault.error(number))
      const sender = scene.sender(broker, { maxRetries: 1, unknownTopicRetries: 1, requestTimeoutMs: 1_000 })
      return refused(sender.sendSync('orders', 'x'))
    },
    success: [0, 46],
  },
  {
    name: 'fetch',
    failure: 'CONSUME_FAILED',
    isDriven: true,
    ask: async (scene, number) => {
      const broker = await scene.broker()
      broker.on({ api: 'Fetch' }, fault.error(number))
      const mq = scene.reader(broker, { autoOffsetReset: 'none' })
      const told = scene.told(mq)
      const nothing = new Promise((resolve) => scene.clock.setTimer(() => resolve(null), 3_000))
      await mq.consumer.assign([{ ...ORDERS, offset: 0 }], () => {})
      return Promise.race([told, nothing])
    },
    success: [0],
  },
  {
    name: 'commit',
    failure: 'OFFSET_COMMIT_FAILED',
    isDriven: true,
    ask: async (scene, number) => {
      const broker = await scene.broker()
      broker.on({ api: 'OffsetCommit' }, fault.error(number))
      const { consumer } = scene.reader(broker)
      scene.clock.stepMs = 20 // A commit is tried for a minute.
      await consumer.assign([{ ...ORDERS, offset: 0 }], () => {})
      return refused(consumer.commitOffset(ORDERS, 0))
    },
    success: [0],
  },
  {
    name: 'join',
    failure: 'CONSUME_FAILED',
    isDriven: true,
    ask: async (scene, number) => {
      const broker = await scene.broker()
      broker.on({ api: 'JoinGroup' }, fault.error(number))
      const { consumer } = scene.reader(broker)
      return refused(consumer.subscribe('orders', () => {}, { timeoutMs: 1_000 }))
    },
    success: [0],
  },
  {
    name: 'create',
    failure: 'INVALID_CONFIG',
    isDriven: false,
    ask: async (scene, number) => {
      const broker = await scene.broker()
      broker.on({ api: 'CreateTopics' }, fault.error(number))
      return refused(scene.mq(broker, { connection: { maxRetries: 0 } }).admin.createTopic({ name: 'new' }))
    },
    success: [0, 36],
    notNow: [
      -1, 2, 5, 6, 8, 9, 19, 20, 35, 41, 51, 55, 56, 70, 71, 72, 74, 75, 78, 80, 83, 88, 89, 103, 106, 109, 122, 123,
      129, 133,
    ],
  },
]

describe.each(OPERATIONS)('ER-3: $name', ({ failure, isDriven, ask, success, notNow = [] }) => {
  it.each(ALL)('ER-3: %i', async (number) => {
    const scene = new Scene(isDriven)
    const outcome = await ask(scene, number)
    expectNoSecrets([scene.said, outcome])
    if (success.includes(number)) return expect(outcome).toBeNull()
    expect(outcome, String(outcome)).toBeInstanceOf(MQError)
    const error = madeFrom(outcome)
    expect(error, `who says ${number}: ${String(outcome)}`).not.toBeNull()
    const operation = notNow.includes(number) ? 'CONNECTION_FAILED' : failure
    const expected = [codeOf(number, operation), isRetryable(number, operation)]
    expect([error?.code, error?.retryable], error?.message).toEqual(expected)
    expect(error?.context.kafkaCode).toBe(number)
    expect(error?.message).toContain(`${number} ${String(error?.context.kafkaName)}`)
    expect(error?.retryable && error.fatal).toBe(false)
  })
})

describe('the lists of part 4', () => {
  it('ER-3: name every number once', () => {
    const own = Object.values(NUMBERS_OF).flat()
    expect(new Set([...own, ...RETRIED, ...SUCCESS]).size).toBe(own.length + RETRIED.length + SUCCESS.length)
  })
})
