/** Frames: versions without a schema, trailing bytes, and which message an error speaks of. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import {
  ALL_APIS,
  ApiVersions,
  apiOf,
  correlationIdOf,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  Heartbeat,
  inRange,
  Produce,
} from '../../lib/protocol/index.js'
import { unhex } from '../support/vectors.js'

const frame = (segments: Uint8Array[]) => Buffer.concat(segments).subarray(4)
const beat = { groupId: 'g', generationId: 1, memberId: 'm' }

describe('decodeRequest', () => {
  it('reads api, version, correlation id, client id and body', () => {
    const decoded = decodeRequest(frame(encodeRequest(Heartbeat, 4, 77, null, beat)))
    expect(decoded).toEqual({
      api: Heartbeat,
      version: 4,
      correlationId: 77,
      clientId: null,
      body: { ...beat, groupInstanceId: null },
      trailingBytes: 0,
    })
  })

  it('F-2: an unknown api or version is told by its reason', () => {
    const reason = expect.objectContaining({ context: expect.objectContaining({ reason: 'UNSUPPORTED_VERSION' }) })
    expect(() => decodeRequest(unhex('03e70000000000010000'))).toThrow(reason)
    expect(() => decodeRequest(unhex('000c0009000000010000' + '00'))).toThrow(reason)
  })

  it('W-17: the header of an ApiVersions version to come can be read, so that it can be answered', () => {
    const header = decodeRequestHeader(unhex('0012007b0000002a000161' + '00' + 'ffff'))
    expect(header).toEqual({ apiKey: 18, version: 123, correlationId: 42, clientId: 'a', bodyAt: 12 })
  })
})

describe('decodeResponse', () => {
  const whole = frame(encodeResponse(Heartbeat, 4, 5, { errorCode: 27 }))

  it('W-15: counts trailing bytes, and refuses them where asked to', () => {
    const longer = Buffer.concat([whole, unhex('0000')])
    expect(decodeResponse(Heartbeat, 4, longer)).toMatchObject({ correlationId: 5, trailingBytes: 2 })
    expect(decodeResponse(Heartbeat, 4, longer).body.errorCode).toBe(27)
    expect(() => decodeResponse(Heartbeat, 4, longer, { trailing: 'error' })).toThrow(MQError)
    expect(decodeResponse(Heartbeat, 4, whole, { trailing: 'error' }).trailingBytes).toBe(0)
  })

  it('says which message was malformed', () => {
    const context = { reason: 'MALFORMED_FRAME', message: 'HeartbeatResponse', version: 4, at: 5 }
    expect(() => decodeResponse(Heartbeat, 4, whole.subarray(0, 7))).toThrow(expect.objectContaining({ context }))
  })

  it('W-8: the response of ApiVersions has no tags in its header, whatever its version', () => {
    const bytes = frame(encodeResponse(ApiVersions, 4, 9, { errorCode: 35, apiKeys: [] }))
    expect(Buffer.from(bytes).toString('hex')).toBe('00000009' + '0023' + '01' + '00000000' + '00')
    expect(decodeResponse(ApiVersions, 4, bytes).body.errorCode).toBe(35)
  })

  it('reads the correlation id alone, and refuses a frame that has none', () => {
    expect(correlationIdOf(whole)).toBe(5)
    expect(() => correlationIdOf(unhex('0000'))).toThrow(MQError)
  })
})

describe('encodeRequest', () => {
  it('W-7: begins with the size of everything after it, segments included', () => {
    const records = new Uint8Array(100_000)
    const body = { acks: -1, timeoutMs: 1, topicData: [{ name: 't', partitionData: [{ index: 0, records }] }] }
    const segments = encodeRequest(Produce, 9, 1, 'tandem-mq', body)
    expect(segments).toContain(records)
    expect(Buffer.concat(segments).readInt32BE(0)).toBe(Buffer.concat(segments).length - 4)
  })
})

describe('apis', () => {
  it('are found by key', () => {
    expect(ALL_APIS.length).toBe(57)
    expect(ALL_APIS.every((api) => apiOf(api.key) === api)).toBe(true)
    expect(apiOf(999)).toBeUndefined()
    expect(apiOf(-1)).toBeUndefined()
  })

  it('kafka.md 1.4: what client and broker speak lies inside the schemas, the client inside the broker', () => {
    const spoken = ALL_APIS.filter(({ client }) => client !== undefined)
    expect(spoken.length).toBe(36)
    expect(ALL_APIS.filter(({ broker }) => broker !== undefined).length).toBe(41)
    for (const { name, client, broker, versions } of ALL_APIS) {
      for (const range of [client, broker]) {
        if (range === undefined) continue
        expect(inRange(versions, range.min) && inRange(versions, range.max), name).toBe(true)
      }
      if (client === undefined) continue
      expect(broker, `${name}: our own broker must serve our client`).toBeDefined()
      expect(client.min >= (broker?.min ?? 99) && client.max <= (broker?.max ?? -1), name).toBe(true)
    }
    expect(Produce).toMatchObject({ client: { min: 7, max: 13 }, broker: { min: 3, max: 13 } })
  })
})
