/**
 * The parts of `@opentelemetry/api` that are used here, as shapes.
 * Why not its own types: the package is optional, and our declarations must compile for users who do not have it. A test
 * proves that the real API fits.
 */
export type SpanAttributes = Record<string, string | number | boolean>

/** Opaque: the context of a trace. */
export interface TraceContext {
  getValue(key: symbol): unknown
  setValue(key: symbol, value: unknown): TraceContext
  deleteValue(key: symbol): TraceContext
}

export interface TraceSpanContext {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
}

export interface TraceSpan {
  setAttribute(key: string, value: string | number | boolean): unknown
  setStatus(status: { code: number; message?: string }): unknown
  recordException(error: Error): void
  end(): void
}

export interface TraceLink {
  readonly context: TraceSpanContext
}

export interface SpanOptions {
  readonly kind: number
  readonly attributes: SpanAttributes
  readonly links?: TraceLink[]
}

export interface OpenTelemetryApi {
  readonly trace: {
    getTracer(name: string): { startSpan(name: string, options: SpanOptions, context: TraceContext): TraceSpan }
    setSpan(context: TraceContext, span: TraceSpan): TraceContext
    getSpanContext(context: TraceContext): TraceSpanContext | undefined
    isSpanContextValid(context: TraceSpanContext): boolean
  }
  readonly context: {
    active(): TraceContext
    with<T>(context: TraceContext, run: () => T): T
  }
  readonly propagation: {
    inject<Carrier>(
      context: TraceContext,
      carrier: Carrier,
      setter: { set(carrier: Carrier, key: string, value: string): void },
    ): void
    extract<Carrier>(
      context: TraceContext,
      carrier: Carrier,
      getter: { keys(carrier: Carrier): string[]; get(carrier: Carrier, key: string): string | undefined },
    ): TraceContext
  }
  readonly ROOT_CONTEXT: TraceContext
  readonly SpanKind: { readonly PRODUCER: number; readonly CONSUMER: number }
  readonly SpanStatusCode: { readonly ERROR: number }
}

export interface ObservedValue {
  observe(value: number, attributes?: Record<string, string>): void
}

export interface ObservableInstrument {
  addCallback(callback: (result: ObservedValue) => void): void
}

export interface OpenTelemetryMeter {
  createObservableCounter(name: string): ObservableInstrument
  createObservableGauge(name: string): ObservableInstrument
}
