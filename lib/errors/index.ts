export { ERROR_CODES, ERROR_REASONS, type ErrorCode, type ErrorFamily, type ErrorReason, isErrorCode } from './codes.js'
export {
  type ErrorContext,
  findMQError,
  isFamily,
  isFatalError,
  isRetryableError,
  MQError,
  type MQErrorOptions,
  newMQError,
  type Persistence,
  toMQError,
} from './mq-error.js'
