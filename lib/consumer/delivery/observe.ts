/**
 * What a callback is wrapped in: the trace id of its record (PR-23), and an observer (OpenTelemetry).
 * Why a wrapper, made where the callback is given: without `trace.enabled` and `hooks` nothing is there to be asked, so
 * nobody pays for it. Deduplication wraps these, so a record that is skipped is not observed.
 * Invariant: the callback runs exactly once per delivery and what it gives or throws passes through, whatever an
 * observer does; a record never runs inside the trace id of another one, which async context would hand on.
 */
import type { ResolvedConsumerConfig } from '../../config/index.js'
import { type Logger, type ObservedRecord, type ProcessHook, withTraceId } from '../../util/index.js'
import type { AnyRecord, BatchCallback, CallbackResult, RecordCallback } from '../cursor.js'

export interface CallbackWraps {
  record(callback: RecordCallback): RecordCallback
  batch(callback: BatchCallback): BatchCallback
}

/** Wraps callbacks as the settings and the observer ask; without either it gives them back as they are. */
export function wrapsOf(config: ResolvedConsumerConfig, hooks: ProcessHook | null): CallbackWraps {
  const { trace, logger } = config
  const observer = hooks === null ? null : new Observer(hooks, logger)
  return {
    record(callback) {
      const observed = observer === null ? callback : observer.record(callback)
      return trace.enabled ? tracedRecord(trace.header, observed) : observed
    },
    batch(callback) {
      const observed = observer === null ? callback : observer.batch(callback)
      return trace.enabled ? tracedBatch(observed) : observed
    },
  }
}

function tracedRecord(header: string, callback: RecordCallback): RecordCallback {
  return (record, tp, error) => {
    const traceId = error === null ? traceIdOf(record, header) : undefined
    return withTraceId(traceId, () => callback(record, tp, error))
  }
}

/** Its records have an id each, so none is that of the call. */
function tracedBatch(callback: BatchCallback): BatchCallback {
  return (records, tp, error) => withTraceId(undefined, () => callback(records, tp, error))
}

/** Of several headers of that name the last, as Kafka's own clients take it; undefined: none, or an empty one. */
function traceIdOf(record: AnyRecord, name: string): string | undefined {
  const { headers } = record
  for (let at = headers.length - 1; at >= 0; at--) {
    const [key, value] = headers[at] as (typeof headers)[number]
    if (key === name) return value === null || value.length === 0 ? undefined : value.toString()
  }
  return undefined
}

class Observer {
  readonly #hooks: ProcessHook
  readonly #logger: Logger
  #hasTold = false

  constructor(hooks: ProcessHook, logger: Logger) {
    this.#hooks = hooks
    this.#logger = logger
  }

  record(callback: RecordCallback): RecordCallback {
    return (record, tp, error) => {
      if (error !== null) return callback(record, tp, error)
      return this.#around([record], () => callback(record, tp, null))
    }
  }

  batch(callback: BatchCallback): BatchCallback {
    return (records, tp, error) => {
      if (error !== null) return callback(records, tp, error)
      return this.#around(records, () => callback(records, tp, null))
    }
  }

  /** The observer's part may fail, be left out or be done twice; the callback's part is done once. */
  #around(records: readonly ObservedRecord[], run: () => CallbackResult): CallbackResult {
    const call = new Once(run)
    try {
      const observed: unknown = this.#hooks.process(records, call.run)
      // An observer may give a promise of its own: what it rejects with is nobody else's to hear.
      if (observed instanceof Promise) observed.catch((error: unknown) => this.#failedLate(error, call))
    } catch (error) {
      if (!call.hasThrown || error !== call.thrown) this.#tell(error)
    }
    return call.run()
  }

  /** The callback's own failure is told where its promise is awaited. */
  async #failedLate(error: unknown, call: Once): Promise<void> {
    const own = await settled(call)
    if (own !== error) this.#tell(error)
  }

  /** Once: an observer that fails does so for every record. */
  #tell(error: unknown): void {
    if (this.#hasTold) return
    this.#hasTold = true
    this.#logger.warn('an observer of callbacks threw; records are processed without it', { error: String(error) })
  }
}

/** A call that is made at most once, however often it is asked for. */
class Once {
  readonly #task: () => CallbackResult
  #isDone = false
  #result: CallbackResult
  hasThrown = false
  thrown: unknown

  constructor(task: () => CallbackResult) {
    this.#task = task
  }

  /** What the call has given or thrown; makes it, if nobody has. */
  readonly run = (): CallbackResult => {
    if (!this.#isDone) this.#call()
    if (this.hasThrown) throw this.thrown
    return this.#result
  }

  #call(): void {
    this.#isDone = true
    try {
      this.#result = this.#task()
    } catch (error) {
      this.hasThrown = true
      this.thrown = error
    }
  }
}

/** What the callback has thrown or rejected with; undefined when it went well. */
async function settled(call: Once): Promise<unknown> {
  try {
    await call.run()
    return undefined
  } catch (error) {
    return error
  }
}
