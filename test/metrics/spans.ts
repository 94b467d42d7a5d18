/** The real tracing SDK for the tests of a file: spans in memory, its own context manager and propagator. */
import * as api from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterAll, beforeAll, beforeEach } from 'vitest'

/** Registered before the tests of the calling file and taken back after them; empty before each. */
export function tracingSdk(): { exporter: InMemorySpanExporter; provider: BasicTracerProvider } {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  beforeAll(() => {
    api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    api.propagation.setGlobalPropagator(new W3CTraceContextPropagator())
    api.trace.setGlobalTracerProvider(provider)
  })
  beforeEach(() => exporter.reset())
  afterAll(async () => {
    await provider.shutdown()
    api.trace.disable()
    api.propagation.disable()
    api.context.disable()
  })
  return { exporter, provider }
}
