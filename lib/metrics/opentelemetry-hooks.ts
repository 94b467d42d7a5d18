/**
 * Spans around records, by OpenTelemetry's conventions for messaging: `send orders` (PRODUCER) from the send to its
 * outcome, `process orders` (CONSUMER) around a callback. The context travels in the record's headers, in whatever
 * format the propagator writes (`traceparent`, `tracestate`).
 * Why links for several records: a span has one parent, and each record of a batch may come from another trace.
 * Invariant: a callback's result, promise or error is the caller's own; observing changes none of them.
 * Source: OpenTelemetry semantic conventions, messaging spans and Kafka.
 */
import { findMQError } from '../errors/index.js'
import type { ObservedRecord, ProcessHook, SendHook, SendObservation } from '../util/index.js'
import type { OpenTelemetryApi, SpanAttributes, TraceContext, TraceLink, TraceSpan } from './opentelemetry-types.js'

export interface TracingOptions {
  /** `messaging.client.id`. */
  readonly clientId?: string | undefined
  /** `messaging.consumer.group.name` of process spans. */
  readonly groupId?: string | undefined
  /** Name of the tracer, default 'tandem-mq'. */
  readonly tracerName?: string | undefined
}

/** Headers as a propagator fills them. */
type Carrier = [name: string, value: string][]

const CARRIER_SETTER = { set: (carrier: Carrier, key: string, value: string) => void carrier.push([key, value]) }
const HEADER_GETTER = { keys: namesOf, get: textOf }

/**
 * Hooks for `ProducerDeps.hooks` and `ConsumerDeps.hooks`. `api` is the `@opentelemetry/api` of your application.
 *
 * ```ts
 * import * as api from '@opentelemetry/api'
 * const producer = new Producer(config, { hooks: openTelemetryHooks(api, { clientId: 'shop' }) })
 * ```
 */
export function openTelemetryHooks(api: OpenTelemetryApi, options: TracingOptions = {}): SendHook & ProcessHook {
  return new OpenTelemetryHooks(api, options)
}

class OpenTelemetryHooks implements SendHook, ProcessHook {
  readonly #api: OpenTelemetryApi
  readonly #tracer: ReturnType<OpenTelemetryApi['trace']['getTracer']>
  readonly #shared: SpanAttributes
  readonly #group: SpanAttributes

  constructor(api: OpenTelemetryApi, { clientId, groupId, tracerName = 'tandem-mq' }: TracingOptions) {
    this.#api = api
    this.#tracer = api.trace.getTracer(tracerName)
    this.#shared = { 'messaging.system': 'kafka', ...given('messaging.client.id', clientId) }
    this.#group = given('messaging.consumer.group.name', groupId)
  }

  send(topic: string, key: unknown, isTombstone = false): SendObservation {
    const { context, propagation, trace, SpanKind } = this.#api
    const attributes = { ...this.#attributes('send', topic), ...recordAttributes(key, isTombstone) }
    const span = this.#tracer.startSpan(`send ${topic}`, { kind: SpanKind.PRODUCER, attributes }, context.active())
    const headers: Carrier = []
    propagation.inject(trace.setSpan(context.active(), span), headers, CARRIER_SETTER)
    return { headers, end: (error, partition, offset) => this.#endSend(span, error, partition, offset) }
  }

  process<T>(records: readonly ObservedRecord[], run: () => T): T {
    const { context, trace } = this.#api
    const [parent, span] = this.#startProcess(records)
    let result: T
    try {
      result = context.with(trace.setSpan(parent, span), run)
    } catch (error) {
      this.#end(span, error)
      throw error
    }
    if (isThenable(result))
      result.then(
        () => span.end(),
        (error: unknown) => this.#end(span, error),
      )
    else span.end()
    return result
  }

  #startProcess(records: readonly ObservedRecord[]): readonly [parent: TraceContext, span: TraceSpan] {
    const { ROOT_CONTEXT, SpanKind } = this.#api
    const topic = records[0]?.topic ?? ''
    const isOne = records.length === 1
    const parent = isOne ? this.#contextOf(records[0] as ObservedRecord) : ROOT_CONTEXT
    const attributes = { ...this.#attributes('process', topic), ...this.#group, ...placeOf(records) }
    const links = isOne ? [] : this.#linksOf(records)
    const span = this.#tracer.startSpan(`process ${topic}`, { kind: SpanKind.CONSUMER, attributes, links }, parent)
    return [parent, span]
  }

  /**
   * What the headers say and nothing else: around a callback runs whatever opened a socket or ended the callback before
   * it, so the active context may be that of another record.
   */
  #contextOf({ headers }: ObservedRecord): TraceContext {
    const { propagation, ROOT_CONTEXT } = this.#api
    return propagation.extract(ROOT_CONTEXT, headers, HEADER_GETTER)
  }

  #linksOf(records: readonly ObservedRecord[]): TraceLink[] {
    const { trace } = this.#api
    return records.flatMap((record) => {
      const context = trace.getSpanContext(this.#contextOf(record))
      return context !== undefined && trace.isSpanContextValid(context) ? [{ context }] : []
    })
  }

  #attributes(operation: 'send' | 'process', topic: string): SpanAttributes {
    return {
      ...this.#shared,
      'messaging.destination.name': topic,
      'messaging.operation.type': operation,
      'messaging.operation.name': operation,
    }
  }

  #endSend(span: TraceSpan, error: Error | null, partition: number, offset: number): void {
    if (partition >= 0) span.setAttribute('messaging.destination.partition.id', String(partition))
    if (offset >= 0) span.setAttribute('messaging.kafka.offset', offset)
    if (error === null) span.end()
    else this.#end(span, error)
  }

  #end(span: TraceSpan, error: unknown): void {
    const thrown = error instanceof Error ? error : new Error(String(error))
    span.setAttribute('error.type', findMQError(error)?.code ?? thrown.name)
    span.recordException(thrown)
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: thrown.message })
    span.end()
  }
}

/** Where one record is, or what the records of a batch have in common. */
function placeOf(records: readonly ObservedRecord[]): SpanAttributes {
  const [first] = records
  if (first === undefined) return {}
  const partition = { 'messaging.destination.partition.id': String(first.partition) }
  if (records.length > 1) return { ...partition, 'messaging.batch.message_count': records.length }
  return { ...partition, 'messaging.kafka.offset': first.offset, ...recordAttributes(keyOf(first), first.isTombstone) }
}

/** Bytes are not shown: nobody could tell whether they are text. */
function recordAttributes(key: unknown, isTombstone: boolean | undefined): SpanAttributes {
  return {
    ...given('messaging.kafka.message.key', typeof key === 'string' ? key : undefined),
    ...(isTombstone === true ? { 'messaging.kafka.message.tombstone': true } : {}),
  }
}

/** A key that its deserializer refuses fails in the callback that touches it, not here. */
function keyOf(record: ObservedRecord): unknown {
  try {
    return record.key
  } catch {
    return undefined
  }
}

function given(name: string, value: string | undefined): SpanAttributes {
  return value === undefined ? {} : { [name]: value }
}

function pairsOf(headers: unknown): readonly (readonly [name: string, value: unknown])[] {
  return Array.isArray(headers) ? headers : []
}

function namesOf(headers: unknown): string[] {
  return pairsOf(headers).map(([name]) => name)
}

/** The last of that name, as Kafka's own clients take it. */
function textOf(headers: unknown, key: string): string | undefined {
  const value = pairsOf(headers).findLast(([name]) => name === key)?.[1]
  if (typeof value === 'string') return value
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
    : undefined
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
