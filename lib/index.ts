/** The public names of tandem-mq, one by one. */
export { ERROR_CODES, type ErrorCode, isFatalError, isRetryableError, MQError } from './errors/index.js'
