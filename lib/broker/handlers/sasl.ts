/**
 * SaslHandshake and SaslAuthenticate. A listener without SASL offers them too, as Kafka's do, and answers 34.
 * A code forced by a fault counts as a failed authentication, so the connection is closed behind it.
 */
import type { DecodedRequestOf, ResponseOf, SaslAuthenticate, SaslHandshake } from '../../protocol/index.js'
import { CLOSE, codeAfter, forcedError, type RequestContext } from '../request-context.js'

const ILLEGAL_SASL_STATE = 34
const NO_BYTES = new Uint8Array(0)

export function handleSaslHandshake(
  { mechanism }: DecodedRequestOf<typeof SaslHandshake>,
  context: RequestContext,
): ResponseOf<typeof SaslHandshake> {
  const { sasl, version } = context
  const forced = forcedError(context, 'before')
  if (forced !== undefined) {
    sasl?.giveUp()
    return { errorCode: forced.code, mechanisms: [] }
  }
  const answer = sasl?.handshake(mechanism, version) ?? { errorCode: ILLEGAL_SASL_STATE, mechanisms: [] }
  return { ...answer, errorCode: codeAfter(context, answer.errorCode) }
}

export function handleSaslAuthenticate(
  { authBytes }: DecodedRequestOf<typeof SaslAuthenticate>,
  context: RequestContext,
): ResponseOf<typeof SaslAuthenticate> | typeof CLOSE {
  const { sasl } = context
  const forced = forcedError(context, 'before')
  if (forced !== undefined) {
    sasl?.giveUp()
    return { errorCode: forced.code, errorMessage: forced.message, authBytes: NO_BYTES }
  }
  const answer = sasl?.authenticate(authBytes)
  if (answer === null) return CLOSE
  if (answer === undefined) return { errorCode: ILLEGAL_SASL_STATE, errorMessage: '', authBytes: NO_BYTES }
  return { ...answer, errorCode: codeAfter(context, answer.errorCode) }
}
