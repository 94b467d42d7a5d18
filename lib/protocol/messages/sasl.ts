/**
 * SaslHandshake and SaslAuthenticate: choose a mechanism, then exchange its tokens.
 * SaslHandshake never becomes flexible, because old brokers read it before anything is negotiated; with its version 1
 * tokens travel as SaslAuthenticate. SaslAuthenticate: 1 session lifetime (authenticate again before it
 * ends), 2 flexible.
 */
import { api, array, bytes, int16, n64, string } from '../schema.js'

export const SaslHandshake = api(
  17,
  'SaslHandshake',
  { versions: '0-1', flexible: 'none', client: '1', broker: '0-1' },
  {
    request: {
      mechanism: string('0+'),
    },
    response: {
      errorCode: int16('0+'),
      mechanisms: array('0+', 'string'),
    },
  },
)

export const SaslAuthenticate = api(
  36,
  'SaslAuthenticate',
  { versions: '0-2', flexible: '2+', client: '0-2', broker: '0-2' },
  {
    request: {
      authBytes: bytes('0+'),
    },
    response: {
      errorCode: int16('0+'),
      errorMessage: string('0+', { nullable: '0+' }),
      authBytes: bytes('0+'),
      sessionLifetimeMs: n64('1+', { default: 0, ignorable: true }),
    },
  },
)
