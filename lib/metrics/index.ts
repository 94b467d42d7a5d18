/** The door of `metrics`: what is measured, how it is shown, health and monitoring. */
export { checkConsumer, checkProducer, checkWal } from './built-in-checks.js'
export type { RoomReadings } from './collector.js'
export type { HealthAnswer, ListeningAddress, MetricsHandler } from './endpoint.js'
export {
  type CheckResult,
  type HealthCheck,
  HealthChecks,
  type HealthChecksOptions,
  type HealthReport,
} from './health.js'
export { type MeasureSource, Metrics, type MetricsOptions } from './metrics.js'
export {
  type Alert,
  type AlertName,
  Monitor,
  type MonitoredMetrics,
  type MonitorFigures,
  type MonitorOptions,
  type MonitorReport,
} from './monitor.js'
export { openTelemetryHooks, type TracingOptions } from './opentelemetry-hooks.js'
export { openTelemetrySink } from './opentelemetry-sink.js'
export type { OpenTelemetryApi, OpenTelemetryMeter } from './opentelemetry-types.js'
export {
  type ErrorSnapshot,
  type LatencySnapshot,
  Operations,
  type OperationsSnapshot,
  type ThroughputSnapshot,
} from './operations.js'
export type { DiskMeasures, ProcessMeasures } from './process-measures.js'
export { ProcessMonitor, type ProcessMonitorOptions } from './process-monitor.js'
export type { ProcessProbe } from './process-probe.js'
export type { Combine, LabelledReading, Reading, Room, SeriesRow, SeriesType } from './series.js'
export { SERIES } from './series-table.js'
export { type LoadTracingOptions, tracingHooks } from './tracing.js'
export { type WalFigures, type WalSnapshot, type WalSource, walReadings, walSnapshot } from './wal-readings.js'
