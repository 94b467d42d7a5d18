/**
 * What goes with a record besides what its caller gave: a trace id, the time of sending, headers of an observer; and the
 * observer is told what became of it. PR-23.
 * Why at the border of the producer: everything behind it sees ordinary headers and an ordinary callback, and a
 * producer without tracing pays one comparison with null per record.
 * Invariant: the caller's headers object is not changed; `end` is called exactly once per observed record, also for one
 * that is refused; an observer that throws hurts only the observation.
 */
import type { TraceSettings } from '../config/index.js'
import { MQError } from '../errors/index.js'
import type { HeadersInput, HeaderValue } from '../protocol/index.js'
import { currentTraceId, type SendHook, type SendObservation } from '../util/index.js'
import type { RecordMetadata, SendCallback } from './batch.js'

/** What decides about headers and fate of a record; the options of any way to send have it. */
interface Traceable {
  readonly key?: unknown
  readonly headers?: HeadersInput
  readonly timestamp?: number
}

export interface TracerParts {
  readonly settings: TraceSettings
  readonly hook: SendHook | null
  /** Wall time in ms. */
  now(): number
  newTraceId(): string
  /** An observer threw; told once. */
  warn(error: MQError): void
}

/** A record on its way, as its caller gave it but for the headers. */
export interface Traced<O> {
  readonly options: O
  /** null: nobody observes it. */
  readonly fate: Fate | null
}

type Pair = readonly [name: string, value: HeaderValue]

export class Tracer {
  readonly #parts: TracerParts
  /** Callbacks that stand for no caller: a refused record of these is told to the `error` event all the same. */
  readonly #alone = new WeakSet<SendCallback>()
  #hasWarned = false

  constructor(parts: TracerParts) {
    this.#parts = parts
  }

  begin<O extends Traceable>(topic: string, value: unknown, options: O | null | undefined): Traced<O> {
    const observation = this.#observe(topic, options?.key, value === null)
    const extra = this.#ownHeaders(options)
    const fate = observation === null ? null : new Fate(observation, this)
    this.#safely(() => extra.push(...(observation?.headers ?? [])))
    const headers = extra.length === 0 ? options?.headers : withHeaders(options?.headers ?? null, extra)
    return { options: { ...fieldsOf(options), headers } as unknown as O, fate }
  }

  /** True for the callback of a record whose caller gave none. */
  isAlone(callback: SendCallback): boolean {
    return this.#alone.has(callback)
  }

  /** The callback of an observed record. */
  around(fate: Fate, callback: SendCallback | null): SendCallback {
    const observed: SendCallback = (error, metadata) => {
      fate.end(error, metadata)
      return callback?.(error, metadata) // An async one gives a promise, which is listened to.
    }
    if (callback === null) this.#alone.add(observed)
    const accepted = callback?.accepted
    return accepted === undefined ? observed : Object.assign(observed, { accepted, observesDelivery: true })
  }

  tell(observation: SendObservation, error: Error | null, partition: number, offset: number): void {
    this.#safely(() => observation.end(error, partition, offset))
  }

  #observe(topic: string, key: unknown, isTombstone: boolean): SendObservation | null {
    const { hook } = this.#parts
    if (hook === null) return null
    let observation: SendObservation | null = null
    this.#safely(() => {
      observation = hook.send(topic, key, isTombstone)
    })
    return observation
  }

  #ownHeaders(options: Traceable | null | undefined): Pair[] {
    const { settings, newTraceId, now } = this.#parts
    if (!settings.enabled) return []
    const headers: Pair[] = [[settings.header, currentTraceId() ?? newTraceId()]]
    if (settings.timestampHeader !== undefined) {
      headers.push([settings.timestampHeader, timeText(options?.timestamp, now())])
    }
    return headers
  }

  #safely(task: () => void): void {
    try {
      task()
    } catch (cause) {
      if (this.#hasWarned) return
      this.#hasWarned = true
      const text = 'a send hook threw: its records go on unobserved, and this is told once'
      this.#parts.warn(new MQError('PRODUCE_FAILED', text, { reason: 'CALLBACK' }, { cause }))
    }
  }
}

/** One observed record's end, told once however many ways lead to it. */
export class Fate {
  readonly #tracer: Tracer
  #observation: SendObservation | null

  constructor(observation: SendObservation, tracer: Tracer) {
    this.#observation = observation
    this.#tracer = tracer
  }

  end(error: MQError | null, metadata: RecordMetadata | null): void {
    const observation = this.#observation
    this.#observation = null
    if (observation === null) return
    this.#tracer.tell(observation, error, metadata?.partition ?? error?.context.partition ?? -1, metadata?.offset ?? -1)
  }

  /** Its caller called it off before it was accepted. */
  withdrawn(topic: string): void {
    const text = `a record for ${topic} was called off by its caller before it was accepted`
    this.end(new MQError('PRODUCE_FAILED', text, { topic, persistence: 'not-persisted' }), null)
  }

  around(callback: SendCallback | null): SendCallback {
    return this.#tracer.around(this, callback)
  }
}

/** Read one by one: options may be an object with getters of its own. */
function fieldsOf(options: Traceable | null | undefined): object {
  if (options === null || options === undefined) return {}
  const { key, partition, timestamp, until, signal, timeoutMs } = options as Record<string, unknown>
  return { key, partition, timestamp, until, signal, timeoutMs }
}

/** The caller's headers as a list, and behind them those of `extra` whose name none has. Wrong ones stay wrong. */
function withHeaders(headers: HeadersInput | null, extra: readonly Pair[]): HeadersInput {
  const pairs = pairsOf(headers)
  for (const pair of extra) if (!pairs.some((one) => Array.isArray(one) && one[0] === pair[0])) pairs.push(pair)
  return pairs
}

function pairsOf(headers: HeadersInput | null): Pair[] {
  if (Array.isArray(headers)) return [...headers]
  const pairs: Pair[] = []
  const record = headers as { readonly [name: string]: HeaderValue | readonly HeaderValue[] | undefined } | null
  for (const name in record) {
    const value = record[name]
    if (Array.isArray(value)) for (const one of value) pairs.push([name, one])
    else if (value !== undefined) pairs.push([name, value as HeaderValue])
  }
  return pairs
}

/** RFC 3339, UTC. A wrong timestamp is refused later, by those who know what is wrong with it. */
function timeText(timestamp: number | undefined, nowMs: number): string {
  const time = new Date(Number.isSafeInteger(timestamp) ? (timestamp as number) : nowMs)
  return Number.isNaN(time.getTime()) ? new Date(nowMs).toISOString() : time.toISOString()
}
