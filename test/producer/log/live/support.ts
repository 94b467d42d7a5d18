/** A producer on an in-process broker behind a scripted log. */
import { expect, onTestFinished } from 'vitest'
import type { Broker, BrokerOptions, TopicOptions } from '../../../../lib/broker/index.js'
import type { Producer, ProducerDeps } from '../../../../lib/producer/index.js'
import { newProducer, startBroker } from '../../support.js'
import type { LoggedOptions } from '../support.js'
import { ScriptedWal } from './scripted-wal.js'

export interface LiveStage {
  readonly broker: Broker
  readonly wal: ScriptedWal
  readonly producer: Producer
}

export interface LiveOptions extends LoggedOptions {
  readonly topic?: TopicOptions
  readonly broker?: BrokerOptions
}

export function liveProducer(
  broker: Broker,
  wal: ScriptedWal,
  { wal: settings = {}, ...config }: LoggedOptions = {},
  deps: ProducerDeps = {},
): Producer {
  const openWal: ProducerDeps['openWal'] = async (_options, events) => {
    wal.events = events
    return wal
  }
  const log = { durability: 'immediate', maxBytes: 16 * 1024 * 1024, minFreeBytes: 1024 * 1024, ...settings } as const
  return newProducer(
    broker,
    { maxBatchBytes: 262_144, compression: 'none', ...config, wal: { ...log, dir: '/nowhere' } },
    { openWal, ...deps },
  )
}

/** At the end of the test nothing may have been seen that wal.md forbids. */
export async function liveStage(
  { topic, broker: options, ...config }: LiveOptions = {},
  deps: ProducerDeps = {},
): Promise<LiveStage> {
  const broker = await startBroker(options)
  broker.createTopic('orders', topic)
  const wal = new ScriptedWal(broker)
  const producer = liveProducer(broker, wal, config, deps)
  onTestFinished(() => {
    wal.look()
    expect(wal.violations).toEqual([])
  })
  return { broker, wal, producer }
}

/** How a promise ended, as soon as it has. */
export function fateOf<T>(promise: Promise<T>): { value?: T; error?: unknown; readonly isOver: boolean } {
  const fate: { value?: T; error?: unknown; isOver: boolean } = { isOver: false }
  promise.then(
    (value) => Object.assign(fate, { value, isOver: true }),
    (error: unknown) => Object.assign(fate, { error, isOver: true }),
  )
  return fate
}

export function conserves(producer: Producer): void {
  const { totalMessages, successMessages, failedMessages, droppedMessages, pendingMessages } =
    producer.getMetrics() as never
  expect(totalMessages).toBe(
    (successMessages as number) +
      (failedMessages as number) +
      (droppedMessages as number) +
      (pendingMessages as number),
  )
}
