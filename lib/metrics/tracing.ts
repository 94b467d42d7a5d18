/**
 * `monitoring.enableTracing`: hooks over the application's own `@opentelemetry/api`, if it has one.
 * Why loaded by name at run time: the package is optional. It shares its providers through one global object, so our
 * copy sees what the application registered.
 */
import { createRequire } from 'node:module'
import type { Logger, ProcessHook, SendHook } from '../util/index.js'
import { openTelemetryHooks, type TracingOptions } from './opentelemetry-hooks.js'
import type { OpenTelemetryApi } from './opentelemetry-types.js'

export interface LoadTracingOptions extends TracingOptions {
  readonly logger: Logger
  /** Loads a package; tests give one that fails. */
  readonly load?: (name: string) => unknown
}

const PACKAGE = '@opentelemetry/api'

/** Null, after one warning, if the package is not there. */
export function tracingHooks(options: LoadTracingOptions): (SendHook & ProcessHook) | null {
  const { logger, load = createRequire(import.meta.url) } = options
  try {
    return openTelemetryHooks(load(PACKAGE) as OpenTelemetryApi, options)
  } catch (error) {
    logger.warn(`monitoring.enableTracing needs the package ${PACKAGE}: install it; until then there are no spans`, {
      error: String(error),
    })
    return null
  }
}
