/**
 * Whole requests and responses: size, header, body.
 * Why: header versions follow from api and version with two exceptions that broke other clients: the response header
 * of ApiVersions never has tags (its reader does not know yet what the peer speaks), and SaslHandshake is not flexible.
 * Invariant: the first segment begins with the int32 size of everything after it. Source: kafka.md W-7, W-8.
 */
import { MQError } from '../errors/index.js'
import { apiOf } from './apis.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { compile } from './compile.js'
import type { Api, DecodedRequestOf, DecodedResponseOf, RequestOf, ResponseOf } from './schema.js'
import { skipTags } from './struct-codec.js'
import { inRange } from './version-range.js'

const API_VERSIONS_KEY = 18

export interface RequestHeader {
  readonly apiKey: number
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Index of the body's first byte. */
  readonly bodyAt: number
}

export interface DecodedRequest<A extends Api = Api> {
  readonly api: A
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  readonly body: DecodedRequestOf<A>
  /** Bytes after the complete body: 0 from an honest peer. */
  readonly trailingBytes: number
}

export interface DecodedResponse<A extends Api = Api> {
  readonly correlationId: number
  readonly body: DecodedResponseOf<A>
  readonly trailingBytes: number
}

export interface DecodeOptions {
  /** `error`: bytes after the body are malformed (tests); `count`: they are counted in `trailingBytes` (default). */
  readonly trailing?: 'error' | 'count'
}

/** 1, or 2 where the version is flexible. */
export function requestHeaderVersion(api: Api, version: number): 1 | 2 {
  return inRange(api.flexible, version) ? 2 : 1
}

/** 0, or 1 where the version is flexible; ApiVersions always 0. */
export function responseHeaderVersion(api: Api, version: number): 0 | 1 {
  return inRange(api.flexible, version) && api.key !== API_VERSIONS_KEY ? 1 : 0
}

/** A request as segments for one gathered write, its size in front. `records` are hung in, not copied. */
export function encodeRequest<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  clientId: string | null,
  body: RequestOf<A>,
): Uint8Array[] {
  const codec = compile(api.request, version)
  const writer = new ByteWriter()
  writer.int32(0)
  writer.int16(api.key)
  writer.int16(version)
  writer.int32(correlationId)
  if (clientId === null) writer.int16(-1)
  else writer.text16(clientId)
  if (requestHeaderVersion(api, version) === 2) writer.uvarint(0)
  codec.write(writer, body as never)
  return writer.finishFrame()
}

/** A response as segments for one gathered write, its size in front. */
export function encodeResponse<A extends Api>(
  api: A,
  version: number,
  correlationId: number,
  body: ResponseOf<A>,
): Uint8Array[] {
  const codec = compile(api.response, version)
  const writer = new ByteWriter()
  writer.int32(0)
  writer.int32(correlationId)
  if (responseHeaderVersion(api, version) === 1) writer.uvarint(0)
  codec.write(writer, body as never)
  return writer.finishFrame()
}

/**
 * The header of a request frame (without its size). An api or version without a schema is no error here: a broker
 * still has to answer ApiVersions in versions to come. Unknown apis are read as header version 1.
 */
export function decodeRequestHeader(frame: Uint8Array): RequestHeader {
  const reader = new ByteReader(frame)
  const apiKey = reader.int16()
  const version = reader.int16()
  const correlationId = reader.int32()
  const length = reader.int16()
  const clientId = length === -1 ? null : reader.text(length)
  const api = apiOf(apiKey)
  if (api !== undefined && requestHeaderVersion(api, version) === 2) skipTags(reader)
  return { apiKey, version, correlationId, clientId, bodyAt: reader.at }
}

/** A whole request (without its size). Unknown api or version: CONNECTION_FAILED / UNSUPPORTED_VERSION. */
export function decodeRequest(frame: Uint8Array, options?: DecodeOptions): DecodedRequest {
  const { apiKey, version, correlationId, clientId, bodyAt } = decodeRequestHeader(frame)
  const api = apiOf(apiKey)
  if (api === undefined) throw unknownApi(apiKey, version)
  const reader = new ByteReader(frame, bodyAt)
  const body = named(api.request.name, version, () => compile(api.request, version).read(reader))
  return { api, version, correlationId, clientId, body, trailingBytes: trailing(reader, options) }
}

/** A whole response (without its size) to a request of this api and version. */
export function decodeResponse<A extends Api>(
  api: A,
  version: number,
  frame: Uint8Array,
  options?: DecodeOptions,
): DecodedResponse<A> {
  const reader = new ByteReader(frame)
  const correlationId = reader.int32()
  if (responseHeaderVersion(api, version) === 1) skipTags(reader)
  const body = named(api.response.name, version, () => compile(api.response, version).read(reader))
  return { correlationId, body: body as DecodedResponseOf<A>, trailingBytes: trailing(reader, options) }
}

/** The correlation id of a response frame (without its size). */
export function correlationIdOf(frame: Uint8Array): number {
  return new ByteReader(frame).int32()
}

/** Says in the error which message it was. */
function named<T>(message: string, version: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof MQError ? error.with({ message, version }) : error
  }
}

function trailing(reader: ByteReader, options: DecodeOptions | undefined): number {
  if (reader.remaining > 0 && options?.trailing === 'error') {
    reader.malformed('the end of the frame', `${reader.remaining} bytes more`)
  }
  return reader.remaining
}

function unknownApi(apiKey: number, version: number): MQError {
  const context = { reason: 'UNSUPPORTED_VERSION', apiKey, version } as const
  return new MQError('CONNECTION_FAILED', `no api has the key ${apiKey}`, context, { retryable: false })
}
