export { AdaptiveSize, type AdaptiveSizeOptions } from './adaptive-size.js'
export { AssertionError, assert } from './assert.js'
export { runInBackground } from './background.js'
export { backoffMs } from './backoff.js'
export { Buckets, LATENCY_SECONDS } from './buckets.js'
export { CircuitBreaker, type CircuitOptions, type CircuitState } from './circuit-breaker.js'
export { type Clock, systemClock, type TimerHandle } from './clock.js'
export { crc32c, crc32cCombine, crc32cPure, crc32cPureRange, isCrc32cNative } from './crc32c.js'
export { type Deferred, deferred } from './deferred.js'
export { Deque } from './deque.js'
export { Emitter } from './emitter.js'
export { FakeClock } from './fake-clock.js'
export { Histogram } from './histogram.js'
export {
  currentTraceId,
  type ObservedRecord,
  type ProcessHook,
  type SendHook,
  type SendObservation,
  withTraceId,
} from './hooks.js'
export { consoleLogger, LOG_LEVELS, type Logger, type LogLevel, silentLogger } from './logger.js'
export { MinHeap } from './min-heap.js'
export { nearestName } from './nearest.js'
export { Pauses } from './pauses.js'
export { type RandomSource, randomInt, seededRandom, systemRandom } from './random.js'
export { RateWindow } from './rate-window.js'
export { type Told, telling, tellingAsync } from './telling.js'
