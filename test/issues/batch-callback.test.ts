/**
 * A callback of `sendBatchAsync` that threw, told about messages that were all refused, ended the process; told from the
 * line of blocked sends, it stopped that line for ever. And one message that was no object threw a TypeError after the
 * messages before it had been accepted.
 */
import { expect, it } from 'vitest'
import type { MQError } from '../../lib/errors/index.js'
import { stage, until } from '../producer/support.js'

it('PR-2, PR-4: a batch callback that throws raises `error` and hurts nobody', async () => {
  const { producer } = await stage({ maxBatchBytes: 1024, batchBytes: 1024 })
  const errors: MQError[] = []
  producer.on('error', (error) => errors.push(error))
  producer.sendBatchAsync({ topic: 'orders', messages: [{ value: 'x'.repeat(2000) }] }, () => {
    throw new Error('of the caller')
  })
  producer.sendBatchAsync({ topic: 'orders', messages: [] }, () => {
    throw new Error('of the caller')
  })
  await until(() => errors.length === 2, 'two events')
  expect(errors.map(({ context }) => context.reason)).toEqual(['CALLBACK', 'CALLBACK'])
})

it('PR-4: a message that is no object fails alone', async () => {
  const { producer } = await stage()
  const messages = [{ value: 'a' }, null as never, { value: 'c' }]
  const results = await producer.sendBatchSync({ topic: 'orders', messages })
  expect(results.map(({ error }) => error?.code)).toEqual([undefined, 'PRODUCE_FAILED', undefined])
})
