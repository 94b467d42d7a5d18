/** Rows of a gateway. What comes in and who may come is typed where it is used, in `gateway`. Source: GW-1..GW-4. */
import { anyText, bool, custom, type FieldSpec, INT32_MAX, int, oneOf, real, secret } from './field.js'
import { parseListenAddress } from './listen-address.js'
import { isPlainObject } from './objects.js'

const MIB = 1_048_576
const HIGH = Number.MAX_SAFE_INTEGER
const TOPIC = /^[a-zA-Z0-9._-]{1,249}$/
/** As browsers send it (RFC 6454): scheme, host, port unless it is the scheme's own. */
const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#]+$/i
const PATH = /^\/[\x21-\x22\x24-\x3e\x40-\x7e]*$/

const isFunction = (value: unknown) => typeof value === 'function'
const isAddress = (value: unknown) => parseListenAddress(value) !== undefined
const isPath = (value: unknown) => typeof value === 'string' && PATH.test(value)
const isListOf = (accepts: (item: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.every(accepts)
const isTopic = (value: unknown) => typeof value === 'string' && TOPIC.test(value)
const isOrigin = (value: unknown) => value === '*' || (typeof value === 'string' && ORIGIN.test(value))
const frozen = (value: unknown) => Object.freeze([...(value as unknown[])])

function address(): FieldSpec {
  return custom(undefined, "an address as 'host:port', ':port' or '[v6]:port'", isAddress)
}

function callback(expected: string): FieldSpec {
  return { ...custom(undefined, expected, isFunction), shows: 'kind' }
}

export const gatewayFields: Readonly<Record<string, FieldSpec>> = {
  websocket: address(),
  tcp: address(),
  path: custom('/mq', "a path such as '/mq'", isPath),
  authenticate: callback('a function that gives an identity, or null'),
  anonymous: {
    ...custom(undefined, 'an object with publish, subscribe and keys, each a list of rules', isPlainObject),
    shows: 'kind',
  },
  stats: callback('a function that gives the figures of the dashboard'),
  origins: custom([], "a list of origins such as 'https://chat.example', or '*'", isListOf(isOrigin), frozen),
  'tls.cert': custom(undefined, 'a PEM text', (value) => typeof value === 'string' && value.length > 0),
  'tls.key': secret(),
  'tls.passphrase': secret(),
  'tls.ca': anyText(),
  'tls.clientCertificate': oneOf(undefined, ['none', 'requested', 'required']),
  slowClient: oneOf('pause', ['pause', 'drop', 'disconnect']),
  keyTopics: custom([], 'a list of topics', isListOf(isTopic), frozen),
  pages: anyText(),
  dashboard: bool(false),
  maxClients: int(10_000, 1, 10_000_000),
  maxFrameBytes: int(MIB, 256, 100 * MIB),
  maxHeaderBytes: int(16_384, 1_024, MIB),
  maxSubscriptions: int(100, 1, 1_000_000),
  maxInFlight: int(100, 1, 1_000_000),
  publishPerSecond: real(0, 0, HIGH),
  bytesPerSecond: real(0, 0, HIGH),
  writeBufferBytes: int(MIB, 1, HIGH),
  cacheBytes: int(64 * MIB, 0, HIGH),
  maxCatchUps: int(16, 1, 10_000),
  idleMs: int(60_000, 0, INT32_MAX),
  authTimeoutMs: int(10_000, 1, INT32_MAX),
  closeTimeoutMs: int(5_000, 1, INT32_MAX),
}
