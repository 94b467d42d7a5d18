/**
 * The answer to a handshake that is refused, as an error and as HTTP. Source: RFC 6455 section 4.2.2, RFC 9110 section 15.
 * Invariant: an error with `context.httpStatus` becomes a complete response that says the connection ends with it.
 */
import { STATUS_CODES } from 'node:http'
import { type ErrorCode, MQError } from '../../errors/index.js'
import { isFieldValue, isToken } from './tokens.js'

/** Why an upgrade is refused: the status and text the client is told. */
export interface Refusal {
  /** 400..599. */
  readonly status: number
  readonly text?: string
  /** Further fields of the response, for example `WWW-Authenticate`. */
  readonly headers?: Readonly<Record<string, string>>
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'AUTHENTICATION_FAILED',
  403: 'AUTHORIZATION_FAILED',
  408: 'CONNECTION_TIMEOUT',
}

/** Fields that a response of this status owes its client. */
const OWED: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  405: { Allow: 'GET' },
  426: { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
}

/** CONNECTION_FAILED (401 AUTHENTICATION_FAILED, 403 AUTHORIZATION_FAILED, 408 CONNECTION_TIMEOUT) with `context.httpStatus`. */
export function refusal(status: number, text: string, headers: Readonly<Record<string, string>> = {}): MQError {
  const context = { httpStatus: status, httpHeaders: { ...OWED[status], ...headers } }
  return new MQError(CODES[status] ?? 'CONNECTION_FAILED', text, context, { retryable: false })
}

/** A refusal as a user wrote it. Throws INVALID_CONFIG unless it can be sent. */
export function chosenRefusal({ status, text = 'the upgrade is refused', headers = {} }: Refusal): MQError {
  const isStatus = Number.isInteger(status) && status >= 400 && status <= 599
  const bad = Object.entries(headers).find(([name, value]) => !isToken(name) || !isFieldValue(value))
  if (isStatus && bad === undefined) return refusal(status, text, headers)
  const what = isStatus ? `the header ${JSON.stringify(bad?.[0])} cannot be sent` : `status ${status} is not 400..599`
  throw new MQError('INVALID_CONFIG', `onUpgrade: ${what}`, { status })
}

/** The response of a refusal; undefined when `error` is none. */
export function refusalBytes(error: Error | null): Buffer | undefined {
  if (!(error instanceof MQError)) return undefined
  const { httpStatus: status, httpHeaders } = error.context
  if (typeof status !== 'number') return undefined
  const body = Buffer.from(`${error.message}\n`)
  const upgrades = status === 426 ? 'close, Upgrade' : 'close'
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`, `Connection: ${upgrades}`]
  for (const [name, value] of Object.entries((httpHeaders ?? {}) as Record<string, string>))
    lines.push(`${name}: ${value}`)
  lines.push('Content-Type: text/plain; charset=utf-8', `Content-Length: ${body.length}`, '', '')
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body])
}
