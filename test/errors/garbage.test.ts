/**
 * What callers without types, or with wrong ones, hand over: every call of every public class gets sixteen kinds of garbage
 * in each of its first three places. It may work, wait or refuse; what it throws or rejects with is an MQError, always
 * (features.md 1), and an MQError that can be logged.
 */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Broker } from '../../lib/broker/index.js'
import { ByteChannel, channelSettings, ItemChannel, makeStrategy, WaterMarkPolicy } from '../../lib/channel/index.js'
import {
  createAdminClient,
  createCompressionCodec,
  createConnectionPool,
  createConsumer,
  createMQ,
  createProducer,
  json,
  MessageUtils,
  MQError,
  MQManager,
  registerCodec,
} from '../../lib/index.js'
import { Scene } from './provoked/scene.js'

const GARBAGE: readonly unknown[] = [
  undefined,
  null,
  5,
  -1,
  Number.NaN,
  '',
  'x',
  {},
  [],
  [null],
  [{}],
  { a: 1 },
  Symbol('s'),
  () => {},
  10n,
  true,
]
const ARGUMENTS = GARBAGE.flatMap((one) => [[one], ['orders', one], ['orders', 'x', one]])
/** So long a call that waits is waited for. Milliseconds. */
const PATIENCE_MS = 30

type Target = Record<string, (...args: unknown[]) => unknown>

/** What ends the object, and what only adds a listener. */
const LEFT_OUT = new Set(['constructor', 'close', 'on'])
/** A channel's other methods are protected in TypeScript, and there for its subclasses. */
const OF_CHANNELS = ['write', 'writeAsync', 'read', 'tryRead', 'readBatch', 'onData', 'seal', 'ready', 'updateConfig']

const MAKERS: Readonly<Record<string, (scene: Scene, broker: Broker) => unknown>> = {
  MQ: (scene, broker) => scene.reader(broker),
  Producer: (scene, broker) => scene.mq(broker).producer,
  Consumer: (scene, broker) => scene.reader(broker).consumer,
  ConnectionPool: (scene, broker) => scene.mq(broker).pool,
  AdminClient: (scene, broker) => scene.mq(broker).admin,
  MQManager: () => new MQManager(),
  ByteChannel: () => new ByteChannel(),
  ItemChannel: () => new ItemChannel(),
  MessageUtils: () => new MessageUtils(json(), 'gzip'),
}

/** By itself, or by what it inherits. */
function callsOf(target: object): string[] {
  if (target instanceof ByteChannel || target instanceof ItemChannel)
    return OF_CHANNELS.filter((name) => name in target)
  const names = new Set<string>()
  for (let at = Object.getPrototypeOf(target); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at as object))) {
      if (typeof value === 'function' && !LEFT_OUT.has(name)) names.add(name)
    }
  }
  return [...names]
}

/** What the call threw or rejected with; undefined when it worked, or waits. */
async function thrownBy(call: () => unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  try {
    const result = call()
    if (!(result instanceof Promise)) return undefined
    result.catch(() => {}) // It may go on when nobody waits any more.
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS)
    })
    await Promise.race([result, patience])
    return undefined
  } catch (error) {
    return error
  } finally {
    clearTimeout(timer)
  }
}

/** Null: an MQError, or nothing. */
async function complaint(call: () => unknown): Promise<string | null> {
  const error = await thrownBy(call)
  if (error === undefined) return null
  if (!(error instanceof MQError)) return String(error)
  try {
    JSON.stringify(error)
    structuredClone(error.toJSON())
    return null
  } catch (cause) {
    return `${error.message} cannot be logged: ${String(cause)}`
  }
}

describe('whatever it is called with', () => {
  it.each(Object.keys(MAKERS))('ER-1: %s throws and rejects with MQErrors only', { timeout: 120_000 }, async (name) => {
    const scene = new Scene()
    const broker = await scene.broker()
    const make = () => MAKERS[name]?.(scene, broker) as Target
    const wrong: string[] = []
    let calls = 0
    for (const method of callsOf(make())) {
      const target = make()
      for (const args of ARGUMENTS) {
        calls++
        const said = await complaint(() => target[method]?.(...args))
        if (said !== null) wrong.push(`${method}(${inspect(args)}): ${said}`)
      }
    }
    expect(wrong).toEqual([])
    expect(calls).toBeGreaterThanOrEqual(ARGUMENTS.length * 2)
  })

  it('ER-1: so do the functions that make something', async () => {
    const functions: Readonly<Record<string, (one: never) => unknown>> = {
      createMQ,
      createProducer,
      createConsumer,
      createAdminClient,
      createConnectionPool,
      createCompressionCodec,
      makeStrategy,
      channelSettings,
      ByteChannel: (one) => new ByteChannel(one),
      ItemChannel: (one) => new ItemChannel(one),
      WaterMarkPolicy: (one) => new WaterMarkPolicy(one),
      MessageUtils: (one) => new MessageUtils(one, one),
      json: (one) => json().serialize(one),
    }
    const wrong: string[] = []
    for (const [name, make] of Object.entries(functions)) {
      for (const one of GARBAGE) {
        const said = await complaint(() => {
          const made = make(one as never) as { close?: () => unknown } | null
          void made?.close?.()
        })
        if (said !== null) wrong.push(`${name}(${inspect(one)}): ${said}`)
      }
    }
    expect(wrong).toEqual([])
    for (const one of GARBAGE) {
      const error = await thrownBy(() => registerCodec(one as never))
      expect(error, inspect(one)).toBeInstanceOf(MQError)
    }
  })
})
