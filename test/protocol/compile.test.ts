/** What one version makes of a declaration: defaults, null, fields that are not there, tags. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import {
  ApiVersions,
  ByteReader,
  ByteWriter,
  compile,
  type DecodedRequestOf,
  type DecodedResponseOf,
  Fetch,
  Heartbeat,
  InitProducerId,
  ListOffsets,
  type Message,
  Metadata,
  Produce,
  type RequestOf,
  type ResponseOf,
  ZERO_UUID,
} from '../../lib/protocol/index.js'
import { hex, unhex } from '../support/vectors.js'

function write(message: Message, version: number, value: unknown): string {
  const writer = new ByteWriter(8)
  compile(message, version).write(writer, value as never)
  return hex(Buffer.concat(writer.finish()))
}
const read = (message: Message, version: number, bytes: string) =>
  compile(message, version).read(new ByteReader(unhex(bytes)))

function failure(run: () => unknown): MQError {
  try {
    run()
  } catch (error) {
    if (error instanceof MQError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('compile', () => {
  it('W-2: makes the codec of a version once', () => {
    expect(compile(Heartbeat.request, 4)).toBe(compile(Heartbeat.request, 4))
    expect(compile(Heartbeat.request, 4)).not.toBe(compile(Heartbeat.request, 3))
    expect(compile(Heartbeat.request, 4, { int64: 'bigint' })).not.toBe(compile(Heartbeat.request, 4))
  })

  it('refuses a version without a schema', () => {
    const error = failure(() => compile(Heartbeat.request, 5))
    expect(error).toMatchObject({ code: 'CONNECTION_FAILED', retryable: false })
    expect(error.context).toMatchObject({ reason: 'UNSUPPORTED_VERSION', apiName: 'Heartbeat', version: 5 })
  })

  it('W-1: infers what must be given and what is there', () => {
    type Input = RequestOf<typeof Heartbeat>
    expectTypeOf<{ groupId: string; generationId: number; memberId: string }>().toExtend<Input>()
    expectTypeOf<{ groupId: string; memberId: string }>().not.toExtend<Input>()
    expectTypeOf<DecodedRequestOf<typeof Heartbeat>['groupInstanceId']>().toEqualTypeOf<string | null>()
    expectTypeOf<DecodedResponseOf<typeof InitProducerId>['producerId']>().toEqualTypeOf<bigint>()
    type Partition = DecodedResponseOf<typeof Fetch>['responses'][number]['partitions'][number]
    expectTypeOf<Partition['highWatermark']>().toEqualTypeOf<number>()
    expectTypeOf<Partition['records']>().toEqualTypeOf<Uint8Array | null>()
    type Segments = NonNullable<RequestOf<typeof Produce>['topicData'][number]['partitionData'][number]['records']>
    expectTypeOf<Uint8Array[]>().toExtend<Segments>()
    expectTypeOf<ResponseOf<typeof Heartbeat>>().toEqualTypeOf<
      { readonly errorCode: number } & { readonly throttleTimeMs?: number | undefined }
    >()
  })
})

describe('reading', () => {
  it('W-3: fills fields the version lacks with their default', () => {
    expect(read(Heartbeat.response, 0, '0019')).toEqual({ throttleTimeMs: 0, errorCode: 25 })
    expect(read(Heartbeat.request, 0, '000167000000070000')).toEqual({
      groupId: 'g',
      generationId: 7,
      memberId: '',
      groupInstanceId: null,
    })
    expect(read(ApiVersions.request, 0, '')).toEqual({ clientSoftwareName: '', clientSoftwareVersion: '' })
    expect(read(Metadata.response, 0, '0000000000000000')).toMatchObject({ clusterId: null, controllerId: -1 })
  })

  it('W-3: gives objects of one form, whatever the version', () => {
    const partition = '00000000' + '0000' + '0000000000000005' + '0000000000000005' + 'ffffffff' + 'ffffffff'
    const old = read(
      Fetch.response,
      4,
      `00000000 00000001 0000 00000001 ${partition}`.replaceAll(' ', ''),
    ) as DecodedResponseOf<typeof Fetch>
    expect(Object.keys(old)).toEqual(Object.keys(Fetch.response.fields))
    expect(old.responses[0]?.topicId).toBe(ZERO_UUID)
    expect(old.responses[0]?.partitions[0]).toMatchObject({
      currentLeader: { leaderId: -1, leaderEpoch: -1 },
      logStartOffset: -1,
      records: null,
    })
  })

  it('W-3: null outside the nullable range is malformed', () => {
    expect(failure(() => read(Heartbeat.request, 4, '00')).context.reason).toBe('MALFORMED_FRAME')
    expect(failure(() => read(Heartbeat.request, 0, 'ffff')).context.reason).toBe('MALFORMED_FRAME')
    expect(failure(() => read(Heartbeat.request, 0, 'fffe')).context.reason).toBe('MALFORMED_FRAME')
  })

  it('W-3: skips unknown tags', () => {
    expect(read(Heartbeat.response, 4, '00000001001b00')).toEqual({ throttleTimeMs: 1, errorCode: 27 })
    expect(read(Heartbeat.response, 4, '00000001001b02050161e8070200ff')).toEqual({ throttleTimeMs: 1, errorCode: 27 })
  })

  it('W-15: refuses tags out of order, and a tag shorter or longer than its content', () => {
    const fields = '00000001001b'
    expect(failure(() => read(Heartbeat.response, 4, `${fields}0205000500`)).message).toContain('ascending')
    const versions = (tag: string) => read(ApiVersions.response, 3, `0000 01 00000000 ${tag}`.replaceAll(' ', ''))
    expect(versions('01 01 08 0000000000000007')).toMatchObject({ finalizedFeaturesEpoch: 7 })
    expect(failure(() => versions('01 01 07 0000000000000007')).context.reason).toBe('MALFORMED_FRAME')
    expect(failure(() => versions('01 01 09 000000000000000700')).context.reason).toBe('MALFORMED_FRAME')
  })

  it('W-4: an int64 outside the safe range is an error as a number, and exact as a bigint', () => {
    const bytes = `ffffffff 00 00000001 0001 74 00000001 00000000 ffffffff 7fffffffffffffff`.replaceAll(' ', '')
    expect(failure(() => read(ListOffsets.request, 4, bytes)).message).toContain('2^53')
    const big = compile(ListOffsets.request, 4, { int64: 'bigint' }).read(new ByteReader(unhex(bytes)))
    expect(big.topics[0]?.partitions[0]?.timestamp).toBe(9_223_372_036_854_775_807n)
  })

  it('W-5: records are a view of the frame', () => {
    const frame = unhex('ffff0001 00000064 00000001 000174 00000001 00000000 00000003 616263'.replaceAll(' ', ''))
    const request = compile(Produce.request, 3).read(new ByteReader(frame, 0)) as DecodedRequestOf<typeof Produce>
    const records = request.topicData[0]?.partitionData[0]?.records as Uint8Array
    expect(records.buffer).toBe(frame.buffer)
    expect(hex(records)).toBe('616263')
  })
})

describe('writing', () => {
  const beat = { groupId: 'g', generationId: 1, memberId: 'm' }

  it('W-3: takes defaults for what is left out', () => {
    expect(write(Heartbeat.request, 3, beat)).toBe('00016700000001' + '00016d' + 'ffff')
    expect(write(Heartbeat.response, 1, { errorCode: 0 })).toBe('000000000000')
  })

  it('names a field that must be given', () => {
    const error = failure(() => write(Heartbeat.request, 0, { groupId: 'g', memberId: 'm' }))
    expect(error.code).toBe('SERIALIZATION_FAILED')
    expect(error.message).toContain('HeartbeatRequest v0 generationId')
  })

  it('W-3: refuses a value the version cannot carry, unless it is ignorable or the default', () => {
    const error = failure(() => write(Heartbeat.request, 2, { ...beat, groupInstanceId: 'i' }))
    expect(error).toMatchObject({ code: 'SERIALIZATION_FAILED', context: { reason: 'UNSUPPORTED_VERSION' } })
    expect(write(Heartbeat.request, 2, { ...beat, groupInstanceId: null })).toBe('0001670000000100016d')
    expect(write(Heartbeat.response, 0, { throttleTimeMs: 9, errorCode: 0 })).toBe('0000')
  })

  it('W-3: refuses null outside the nullable range', () => {
    expect(failure(() => write(Heartbeat.request, 4, { ...beat, groupId: null })).code).toBe('SERIALIZATION_FAILED')
    expect(failure(() => write(Metadata.request, 0, { topics: null })).code).toBe('SERIALIZATION_FAILED')
    expect(write(Metadata.request, 1, { topics: null })).toBe('ffffffff')
  })

  it.each([
    ['a number beyond its width', { ...beat, generationId: 2 ** 31 }],
    ['a fraction', { ...beat, generationId: 1.5 }],
    ['NaN', { ...beat, generationId: Number.NaN }],
    ['a text in place of a number', { ...beat, generationId: '1' }],
    ['a number in place of a text', { ...beat, groupId: 7 }],
    ['a lone value in place of the message', 7],
  ])('refuses %s instead of wrapping it around', (_, value) => {
    expect(failure(() => write(Heartbeat.request, 2, value)).code).toBe('SERIALIZATION_FAILED')
  })

  it('refuses an int64 that is not safe as a number, and one beyond 64 bits as a bigint', () => {
    const offsets = (timestamp: number) => ({
      replicaId: -1,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }],
    })
    expect(failure(() => write(ListOffsets.request, 1, offsets(2 ** 53))).message).toContain('timestamp')
    const identity = (producerId: bigint) => ({ errorCode: 0, producerId, producerEpoch: 0 })
    expect(failure(() => write(InitProducerId.response, 1, identity(2n ** 63n))).code).toBe('SERIALIZATION_FAILED')
    expect(failure(() => write(InitProducerId.response, 1, identity(1 as never))).code).toBe('SERIALIZATION_FAILED')
  })

  it('omits a tagged field that equals its default, also a struct', () => {
    const answer = (leader: object | undefined) => ({
      responses: [
        {
          topicId: ZERO_UUID,
          partitions: [{ partitionIndex: 0, errorCode: 6, highWatermark: 0, records: null, currentLeader: leader }],
        },
      ],
    })
    const bare = write(Fetch.response, 17, answer(undefined))
    expect(write(Fetch.response, 17, answer({ leaderId: -1, leaderEpoch: -1 }))).toBe(bare)
    const tagged = write(Fetch.response, 17, answer({ leaderId: 3, leaderEpoch: 9 }))
    expect(tagged.length).toBe(bare.length + 2 * 11)
    expect(tagged).toContain('01' + '01' + '09' + '00000003' + '00000009' + '00')
  })

  it('W-5: records are hung in as segments, not copied', () => {
    const segments = [unhex('6162'), unhex('63'), unhex('')]
    const writer = new ByteWriter()
    compile(Produce.request, 9).write(writer, {
      acks: -1,
      timeoutMs: 1,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: segments }] }],
    })
    const out = writer.finish()
    expect(out[1]).toBe(segments[0])
    expect(out[2]).toBe(segments[1])
    expect(hex(out[0] as Uint8Array).endsWith('00000000' + '04')).toBe(true)
    expect(out.length).toBe(4)
  })
})
