/**
 * A queue in front of a producer: a batch of items becomes records of one topic. QU-6.
 * Why beside the facade: the queue knows no Kafka, and the producer knows no queue.
 */
import { MQError } from './errors/index.js'
import type { BatchResult, BatchToSend, MessageToSend } from './producer/index.js'
import type { HeadersInput } from './protocol/index.js'
import type { SendContext, SendFunc } from './queue/index.js'

/** The header that names an item for ever: `<incarnationId>-<position>` (wal.md 1.3). */
const ID_HEADER = 'tandem-id'

export interface QueueSenderOptions<T, V, K> {
  /** The record of an item: value, key, headers, partition. Default: the item is the value. */
  readonly toMessage?: (item: T) => MessageToSend<V, K>
  /** Adds the header `tandem-id`, by which consumers recognise what was sent twice (CO-16). Default false. */
  readonly idHeader?: boolean
}

interface Sender<V, K> {
  sendBatchSync(batch: BatchToSend<V, K>): Promise<BatchResult[]>
}

/** Source: `MQ.queueSender`, which documents it. `producer` is asked for at each call: it may not exist yet. */
export function queueSender<T, V, K>(
  producer: () => Sender<V, K>,
  topic: string,
  options: QueueSenderOptions<T, V, K> = {},
): SendFunc<T> {
  if (options === null || typeof options !== 'object') {
    throw new MQError('INVALID_CONFIG', `queueSender: options are ${String(options)}, expected an object`, { topic })
  }
  const { toMessage = asValue, idHeader = false } = options
  if (typeof toMessage !== 'function') {
    const text = `queueSender: toMessage is ${typeof toMessage}, expected a function`
    throw new MQError('INVALID_CONFIG', text, { field: 'toMessage' })
  }
  return async (batch, context) => {
    context.signal.throwIfAborted()
    const messages = batch.map((item, index) => {
      const message = toMessage(item)
      return idHeader ? withId(message, context, index) : message
    })
    const results = await abortable(producer().sendBatchSync({ topic, messages }), context.signal)
    const failed = results.filter(({ error }) => error !== undefined)
    if (failed.length > 0) throw failure(topic, failed, batch.length)
  }
}

function asValue<T, V, K>(item: T): MessageToSend<V, K> {
  return { value: item as unknown as V }
}

function withId<V, K>(message: MessageToSend<V, K>, context: SendContext, index: number): MessageToSend<V, K> {
  const id = `${context.incarnationId}-${context.firstPosition + index}`
  const { headers = [] } = message
  const more: HeadersInput = isList(headers) ? [...headers, [ID_HEADER, id]] : { ...headers, [ID_HEADER]: id }
  return { ...message, headers: more }
}

function isList(headers: HeadersInput): headers is Extract<HeadersInput, readonly unknown[]> {
  return Array.isArray(headers)
}

/** The producer goes on with what it has taken; only the wait ends. */
function abortable<R>(task: Promise<R>, signal: AbortSignal): Promise<R> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason)
    signal.addEventListener('abort', aborted, { once: true })
    task.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}

function failure(topic: string, failed: readonly BatchResult[], of: number): MQError {
  const cause = failed[0]?.error
  const text = `${failed.length} of ${of} records for ${topic} failed, the first: ${cause?.message}`
  return new MQError(
    'PRODUCE_FAILED',
    text,
    { reason: 'SEND_FAILED', topic, failed: failed.length, records: of },
    { cause },
  )
}
