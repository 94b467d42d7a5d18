/**
 * Where errors are provoked: an in-process broker that asks for a password, and clients made through the public API.
 * Why a password everywhere: no error may contain a secret, so every client has one that could leak.
 * Invariant: what a scene opened is closed when its test ends, the clients first.
 */
import { inspect } from 'node:util'
import { expect, onTestFinished } from 'vitest'
import { type Broker, type BrokerOptions, createBroker, type TopicOptions } from '../../../lib/broker/index.js'
import {
  type ConsumerConfig,
  type ErrorCode,
  type ErrorReason,
  type Logger,
  MQ,
  type MQConfig,
  MQError,
  type ProducerConfig,
} from '../../../lib/index.js'
import { drivenClock } from '../../support/driven-clock.js'

export const USER = 'alice'
export const PASSWORD = 'hunter2, battery+staple/100%'

/** One way to meet an error. */
export interface Row {
  readonly code: ErrorCode
  readonly reason?: ErrorReason
  /** What the user did. */
  readonly how: string
  /** Gives the error as the user gets it: thrown, rejected with, or told by an event. */
  readonly provoke: (scene: Scene) => Promise<unknown>
  /** What its context holds besides the reason. */
  readonly context?: Readonly<Record<string, unknown>>
  /** Words of the message: what was expected, what came, what to do. */
  readonly says: readonly (string | RegExp)[]
  /** Where part 4 leaves it to the cause, or the case is special, which `why` tells. */
  readonly verdict?: { readonly retryable: boolean; readonly fatal?: boolean; readonly why: string }
  /** Time runs by itself, as fast as it can. */
  readonly isDriven?: boolean
  /** The error it was made from. */
  readonly cause?: Readonly<Record<string, unknown>>
}

export class Scene {
  /** Everything that clients logged or told. */
  readonly said: unknown[] = []
  readonly #clock: ReturnType<typeof drivenClock> | null

  /** `isDriven`: virtual time that runs by itself, for limits that are long. */
  constructor(isDriven = false) {
    this.#clock = isDriven ? drivenClock() : null
  }

  async broker(options: BrokerOptions = {}, topics: Record<string, TopicOptions> = { orders: {} }): Promise<Broker> {
    const sasl = { mechanisms: ['PLAIN'], users: { [USER]: PASSWORD } } as const
    const broker = await createBroker({ ...(this.#clock === null ? {} : { clock: this.#clock }), sasl, ...options })
    onTestFinished(() => broker.close())
    for (const [name, topic] of Object.entries(topics)) broker.createTopic(name, topic)
    return broker
  }

  mq(broker: Broker | string, config: MQConfig = {}): MQ {
    const log = (...said: unknown[]) => void this.said.push(said)
    const logger: Logger = { debug: log, info: log, warn: log, error: log }
    const brokers = typeof broker === 'string' ? broker : broker.bootstrap
    const mq = new MQ(
      {
        brokers,
        logger,
        logLevel: 'debug',
        sasl: { mechanism: 'PLAIN', username: USER, password: PASSWORD },
        monitoring: { intervalMs: 0 },
        ...config,
        connection: { retryBackoffMs: 5, retryBackoffMaxMs: 20, ...config.connection },
      },
      this.#clock === null ? {} : { clock: this.#clock },
    )
    mq.on('error', (error) => void this.said.push(error))
    mq.on('warning', (warning) => void this.said.push(warning))
    onTestFinished(async () => {
      await mq.close({ timeoutMs: 0 }).catch(() => {})
    })
    return mq
  }

  /** With settings of the producer. */
  sender(broker: Broker | string, producer: ProducerConfig = {}, config: MQConfig = {}): MQ {
    return this.mq(broker, { ...config, producer: { retryBackoffMs: 1, retryBackoffMaxMs: 5, ...producer } })
  }

  /** With settings of the consumer; it reads from the beginning. */
  reader(broker: Broker | string, consumer: ConsumerConfig = {}, config: MQConfig = {}): MQ {
    const own = { groupId: 'billing', autoOffsetReset: 'earliest', fetchMaxWaitMs: 20, ...consumer } as const
    return this.mq(broker, { ...config, consumer: own })
  }

  /** The first `error` event of an instance that fits. */
  told(mq: MQ, isIt: (error: MQError) => boolean = () => true): Promise<MQError> {
    return new Promise((resolve) => void mq.on('error', (error) => (isIt(error) ? resolve(error) : undefined)))
  }

  /** Time of the scene. */
  get clock() {
    if (this.#clock === null) throw new Error('this scene runs on real time')
    return this.#clock
  }
}

/** What a call throws or rejects with; fails when it does not. */
export async function refusalOf(call: () => unknown): Promise<unknown> {
  let value: unknown
  try {
    value = await call()
  } catch (error) {
    return error
  }
  return expect.fail(`expected a refusal, got ${inspect(value)}`)
}

/** In any of the forms in which it might be said. */
const SECRETS: readonly string[] = [
  PASSWORD,
  Buffer.from(PASSWORD).toString('base64'),
  Buffer.from(PASSWORD).toString('hex'),
  encodeURIComponent(PASSWORD),
  Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64'),
  'hunter2',
]

export function expectNoSecrets(said: unknown): void {
  const text = inspect(said, {
    depth: 12,
    maxStringLength: null,
    maxArrayLength: null,
    breakLength: 1e6,
    showHidden: true,
  })
  for (const secret of SECRETS) expect(text.includes(secret), `says ${secret}`).toBe(false)
}

/** Everything a row promises of its error. */
export function expectError(
  thrown: unknown,
  row: Row,
  family: string,
  retryable: boolean | 'cause',
  fatal: boolean,
): void {
  expect(thrown, String(thrown)).toBeInstanceOf(MQError)
  const error = thrown as MQError
  const verdict = row.verdict ?? { retryable: retryable === true }
  expect({ code: error.code, reason: error.context.reason, says: error.message }).toMatchObject({
    code: row.code,
    reason: row.reason,
  })
  expect({ family: error.family, retryable: error.retryable, fatal: error.fatal }).toEqual({
    family,
    retryable: verdict.retryable,
    fatal: row.verdict === undefined ? fatal : (row.verdict.fatal ?? false),
  })
  expect(error.context, error.message).toMatchObject(row.context ?? {})
  for (const word of row.says) expect(error.message).toMatch(word)
  if (row.cause !== undefined) expect(error.cause).toMatchObject(row.cause)
  expectForms(error)
  expectNoSecrets([thrown, String(error), JSON.stringify(error)])
}

/** ER-1: its forms as text, JSON and clone. */
export function expectForms(error: MQError): void {
  const { name, code, message, family, retryable, fatal } = error
  expect(message.length).toBeGreaterThan(20)
  expect(message).not.toMatch(/undefined|\[object|NaN/)
  const { cause } = error
  const told = cause instanceof MQError ? cause.toString() : cause instanceof Error ? cause.message : String(cause)
  expect(String(error)).toBe(`[${code}] ${message}${cause === undefined ? '' : `: ${told}`}`)
  const fields = { name, code, message, family, retryable, fatal }
  const parsed = JSON.parse(JSON.stringify(error)) as Record<string, unknown>
  expect(parsed).toMatchObject(fields)
  expect(Object.keys(parsed['context'] as object).sort()).toEqual(
    Object.entries(error.context)
      .flatMap(([key, value]) => (value === undefined ? [] : [key]))
      .sort(),
  )
  expect(parsed['context'], 'plain numbers and words, nothing that lives').toEqual(error.context)
  expect(structuredClone(error.toJSON())).toEqual(error.toJSON())
  expect(structuredClone(error)).toMatchObject({ message })
}
