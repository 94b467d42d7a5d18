/**
 * Headers and frames against bytes that Apache Kafka's own classes wrote. Source of the cases: vectors/headers.json.
 * Without the folder the same checks run on the part of it that is kept in test/fixtures.
 */
import { describe, expect, it } from 'vitest'
import {
  type Api,
  apiOf,
  correlationIdOf,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  requestHeaderVersion,
  responseHeaderVersion,
} from '../../lib/protocol/index.js'
import { fixture, hasVectors, hex, unhex, vectors } from '../support/vectors.js'

interface HeaderVersions {
  api: string
  key: number
  min: number
  request: number[]
  response: number[]
}
interface Header {
  kind: 'request' | 'response'
  headerVersion: number
  hex: string
  json: { requestApiKey: number; requestApiVersion: number; correlationId: number; clientId: string | null }
}
interface Framed {
  key: number
  v: number
  correlationId: number
  clientId: string
  request: string
  response: string
}
const source = vectors('headers.json') ?? fixture('headers.json')
/** Kafka has more apis than we have schemas for. */
const headerVersions: HeaderVersions[] = source.headerVersions.filter(({ key }: HeaderVersions) => apiOf(key))
const headers: Header[] = source.headers
const framed: Framed[] = source.framed
const api = (key: number) => apiOf(key) as Api

describe(`headers made by Apache Kafka (${hasVectors ? 'all' : 'fixtures only'})`, () => {
  it('W-8: every version of every api has the header version of Kafka', () => {
    expect(headerVersions.length).toBe(hasVectors ? 57 : 5)
    for (const { api: name, key, min, request, response } of headerVersions) {
      const ours = (of: (api: Api, version: number) => number, many: number[]) =>
        many.map((_, index) => of(api(key), min + index))
      expect(ours(requestHeaderVersion, request), name).toEqual(request)
      expect(ours(responseHeaderVersion, response), name).toEqual(response)
    }
  })

  it('W-8: request headers read; the client id is never compact, and may be null', () => {
    const requests = headers.filter(({ kind }) => kind === 'request')
    expect(requests.length).toBe(8)
    for (const { hex: bytes, json } of requests) {
      expect(decodeRequestHeader(unhex(bytes))).toEqual({
        apiKey: json.requestApiKey,
        version: json.requestApiVersion,
        correlationId: json.correlationId,
        clientId: json.clientId,
        bodyAt: bytes.length / 2,
      })
    }
  })

  it('W-8: request headers write', () => {
    for (const { hex: bytes, json, kind } of headers) {
      if (kind !== 'request') continue
      const { requestApiKey, requestApiVersion, correlationId, clientId } = json
      const whole = encodeRequest(api(requestApiKey), requestApiVersion, correlationId, clientId, { topics: null })
      expect(hex(Buffer.concat(whole)).slice(8, 8 + bytes.length)).toBe(bytes)
    }
  })

  it('W-8: response headers read', () => {
    const responses = headers.filter(({ kind }) => kind === 'response')
    expect(responses.length).toBe(8)
    for (const { hex: bytes, json } of responses) expect(correlationIdOf(unhex(bytes))).toBe(json.correlationId)
  })

  it('W-7, W-8: whole frames read, and written again are the same bytes', () => {
    expect(framed.length).toBeGreaterThan(3)
    for (const { key, v, correlationId, clientId, request, response } of framed) {
      const strict = { trailing: 'error' } as const
      const asked = decodeRequest(unhex(request).subarray(4), strict)
      expect(asked).toMatchObject({ version: v, correlationId, clientId, trailingBytes: 0 })
      expect(asked.api).toBe(api(key))
      const again = encodeRequest(asked.api, v, correlationId, clientId, asked.body as never)
      expect(hex(Buffer.concat(again)), `${asked.api.name} v${v} request`).toBe(request)
      const answered = decodeResponse(asked.api, v, unhex(response).subarray(4), strict)
      expect(answered.correlationId).toBe(correlationId)
      const back = encodeResponse(asked.api, v, correlationId, answered.body as never)
      expect(hex(Buffer.concat(back)), `${asked.api.name} v${v} response`).toBe(response)
    }
  })
})
