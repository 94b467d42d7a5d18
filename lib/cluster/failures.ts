/**
 * The errors of a connection, in one place.
 * Why: every one of them must say which broker, and above all whether the request may have reached it: `wasSent` is
 * what makes a produce attempt refused or unsure (kafka.md, words). 'no' is a promise, 'possibly' a doubt.
 */
import { type ErrorCode, type ErrorContext, MQError, type MQErrorOptions } from '../errors/index.js'
import type { Api } from '../protocol/index.js'

export type WasSent = 'no' | 'possibly'

/** Where a connection leads. `brokerId` is -1 for a bootstrap address. */
export interface BrokerAddress {
  readonly brokerId: number
  readonly host: string
  readonly port: number
  readonly rack: string | null
}

/** The end of a connection, as the end of one request on it. */
export function lostRequest(reason: MQError, api: Api, address: BrokerAddress, wasSent: WasSent): MQError {
  const text = `${api.name} to broker ${address.brokerId} was not answered: ${reason.message}`
  const context: ErrorContext = { ...reason.context, ...placeOf(address), api: api.name, wasSent }
  return new MQError(reason.code, text, context, { cause: reason, retryable: reason.retryable, fatal: reason.fatal })
}

/** The request was refused here; no byte of it left. */
export function notSent(
  code: ErrorCode,
  text: string,
  api: Api,
  context: ErrorContext,
  options?: MQErrorOptions,
): MQError {
  return new MQError(code, text, { ...context, api: api.name, wasSent: 'no' }, options)
}

export function unsupported(api: Api, brokerId: number): MQError {
  const text = `broker ${brokerId} serves no version of ${api.name} that this client speaks: it needs another version of Kafka`
  const context: ErrorContext = { reason: 'UNSUPPORTED_VERSION', brokerId }
  return notSent('CONNECTION_FAILED', text, api, context, { retryable: false })
}

export function unknownBroker(brokerId: number): MQError {
  const text = `broker ${brokerId} is not part of the cluster now`
  return new MQError('CONNECTION_FAILED', text, { brokerId, wasSent: 'no' })
}

export function closedHere(what: string): MQError {
  return new MQError('CONNECTION_CLOSED', `${what} was closed by this client`, { wasSent: 'no' })
}

export function placeOf({ brokerId, host, port }: BrokerAddress): ErrorContext {
  return { brokerId, host, port }
}
