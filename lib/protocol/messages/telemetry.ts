/**
 * GetTelemetrySubscriptions, PushTelemetry: metrics that a cluster asks its clients for (KIP-714). Schema only.
 */
import { api, array, bool, bytes, int8, int16, int32, uuid } from '../schema.js'

export const GetTelemetrySubscriptions = api(
  71,
  'GetTelemetrySubscriptions',
  { versions: '0', flexible: '0+' },
  {
    request: {
      clientInstanceId: uuid('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
      clientInstanceId: uuid('0+'),
      subscriptionId: int32('0+'),
      acceptedCompressionTypes: array('0+', 'int8'),
      pushIntervalMs: int32('0+'),
      telemetryMaxBytes: int32('0+'),
      deltaTemporality: bool('0+'),
      requestedMetrics: array('0+', 'string'),
    },
  },
)

export const PushTelemetry = api(
  72,
  'PushTelemetry',
  { versions: '0', flexible: '0+' },
  {
    request: {
      clientInstanceId: uuid('0+'),
      subscriptionId: int32('0+'),
      terminating: bool('0+'),
      compressionType: int8('0+'),
      metrics: bytes('0+'),
    },
    response: {
      throttleTimeMs: int32('0+'),
      errorCode: int16('0+'),
    },
  },
)
