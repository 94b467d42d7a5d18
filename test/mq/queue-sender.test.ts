/** A queue in front of a producer, on the in-process broker. QU-6. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'
import { BatchQueue, MQ, type MQError, type SendContext } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'

async function stage(config: object = {}): Promise<{ broker: Broker; mq: MQ }> {
  const broker = await createBroker()
  onTestFinished(() => broker.close())
  broker.createTopic('orders', { partitions: 1 })
  const mq = new MQ({ brokers: broker.bootstrap, logger: silentLogger, ...config })
  onTestFinished(async () => void (await mq.close().catch(() => {})))
  return { broker, mq }
}

function context(signal = new AbortController().signal): SendContext {
  return { signal, attempt: 1, recovered: false, firstPosition: 40, incarnationId: 'abcd' }
}

async function readAll(mq: MQ, count: number): Promise<{ value: string; id: string | undefined }[]> {
  const read: { value: string; id: string | undefined }[] = []
  await new Promise<void>((resolve) => {
    void mq.subscribe('orders', ({ value, headers }) => {
      const id = headers.find(([name]) => name === 'tandem-id')?.[1]
      read.push({ value: String(value), id: id === undefined ? undefined : String(id) })
      if (read.length === count) resolve()
    })
  })
  return read
}

describe('queueSender', () => {
  it('QU-6: a queue delivers through the producer, in order', async () => {
    const { mq } = await stage({ consumer: { groupId: 'g', autoOffsetReset: 'earliest' } })
    const queue = new BatchQueue<string>({ send: mq.queueSender('orders'), batchMaxItems: 10, lingerMs: 5 })
    await queue.start()
    for (let n = 0; n < 95; n++) await queue.enqueue(`order ${n}`)
    expect(await queue.close()).toEqual({ sent: 95, failed: 0, dropped: 0, pending: 0 })
    const read = await readAll(mq, 95)
    expect(read.map(({ value }) => value)).toEqual(Array.from({ length: 95 }, (_, n) => `order ${n}`))
  })

  it('QU-6: idHeader names each record by its item, beside headers it has; toMessage makes the record', async () => {
    const { mq } = await stage({ consumer: { groupId: 'g', autoOffsetReset: 'earliest' } })
    const send = mq.queueSender<number>('orders', {
      idHeader: true,
      toMessage: (item) => ({ value: `n ${item}`, key: 'k', headers: item === 1 ? { a: 'b' } : [['a', 'b']] }),
    })
    await send([1, 2], context())
    expect(await readAll(mq, 2)).toEqual([
      { value: 'n 1', id: 'abcd-40' },
      { value: 'n 2', id: 'abcd-41' },
    ])
  })

  it('QU-6: rejects when any record failed, and tells how many and why', async () => {
    const { mq } = await stage({ producer: { maxBatchBytes: 1024, batchBytes: 512 } })
    const send = mq.queueSender('orders')
    const error = await send(['small', 'x'.repeat(5000)], context()).catch((reason: unknown) => reason as MQError)
    expect(error).toMatchObject({
      code: 'PRODUCE_FAILED',
      context: { reason: 'SEND_FAILED', failed: 1, records: 2 },
      cause: { code: 'MESSAGE_TOO_LARGE' },
    })
  })

  it('QU-6: an aborted call rejects with its reason, at once', async () => {
    const { mq } = await stage({ closeTimeoutMs: 200 })
    const send = mq.queueSender('nowhere')
    await expect(send(['a'], context(AbortSignal.abort('before')))).rejects.toBe('before')
    const controller = new AbortController()
    const sending = send(['a'], context(controller.signal))
    controller.abort('enough')
    await expect(sending).rejects.toBe('enough')
  })
})
