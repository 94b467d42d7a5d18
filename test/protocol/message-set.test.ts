import { type BatchHeader, readBatches, readBatchHeader } from 'tandem-mq/protocol'
import { describe, expect, it } from 'vitest'
import { type MessageFields, messageBytes } from '../support/batch-bytes.js'

const same = (_codec: number, payload: Uint8Array): Uint8Array => payload
const text = (value: string): Uint8Array => Buffer.from(value)

/** A wrapper whose "codec" leaves its content as it is: only the framing is of interest here. */
function wrapper(magic: 0 | 1, offset: number, inner: readonly Buffer[], more: Partial<MessageFields> = {}): Buffer {
  return messageBytes({ magic, offset, attributes: 1, value: Buffer.concat(inner), ...more })
}

async function read(bytes: Uint8Array): Promise<unknown[]> {
  const batches = await readBatches(bytes, same)
  return batches.flatMap((batch) =>
    batch.records.map((record) => [record.offset, record.timestamp, String(record.key), String(record.value)]),
  )
}

const corrupt = (message: RegExp) =>
  expect.objectContaining({
    code: 'CONSUME_FAILED',
    message: expect.stringMatching(message),
    context: expect.objectContaining({ reason: 'CORRUPT_BATCH' }),
  })

describe('R-9 magic 0 and 1', () => {
  it('plain messages: each a batch of its own, absolute offsets, time only in magic 1', async () => {
    const bytes = Buffer.concat([
      messageBytes({ magic: 0, offset: 3, key: text('k'), value: text('v') }),
      messageBytes({ magic: 1, offset: 9, timestamp: 77, key: null, value: text('') }),
    ])
    expect(await read(bytes)).toEqual([
      [3, -1, 'k', 'v'],
      [9, 77, 'null', ''],
    ])
    expect(readBatchHeader(bytes, 0)).toMatchObject({
      magic: 0,
      baseOffset: 3,
      nextOffset: 4,
      count: -1,
      producerId: -1n,
    })
  })

  it('a magic 0 wrapper has absolute inner offsets, gaps included', async () => {
    const inner = [
      messageBytes({ magic: 0, offset: 10, value: text('a') }),
      messageBytes({ magic: 0, offset: 15, value: text('b') }),
    ]
    expect(await read(wrapper(0, 15, inner))).toEqual([
      [10, -1, 'null', 'a'],
      [15, -1, 'null', 'b'],
    ])
  })

  it('a magic 1 wrapper has the offset of its last message, inner ones are relative', async () => {
    const inner = [
      messageBytes({ magic: 1, offset: 0, timestamp: 5, value: text('a') }),
      messageBytes({ magic: 1, offset: 4, timestamp: 6, value: text('b') }),
    ]
    expect(await read(wrapper(1, 104, inner))).toEqual([
      [100, 5, 'null', 'a'],
      [104, 6, 'null', 'b'],
    ])
  })

  it('with log-append time the wrapper has the time of all', async () => {
    const inner = [messageBytes({ magic: 1, offset: 0, timestamp: 5, value: text('a') })]
    expect(await read(wrapper(1, 7, inner, { attributes: 9, timestamp: 99 }))).toEqual([[7, 99, 'null', 'a']])
  })

  it('the decompressor learns the magic, because magic 0 has its own lz4 header checksum', async () => {
    const seen: unknown[] = []
    await readBatches(wrapper(0, 1, [], { attributes: 3 }), (codec, payload, magic) => {
      seen.push(codec, payload.length, magic)
      return payload
    })
    expect(seen).toEqual([3, 0, 0])
  })

  it('headers of old messages have the shape of new ones', () => {
    const old = readBatchHeader(messageBytes({ magic: 1, offset: 0 }), 0) as BatchHeader
    expect(Object.keys(old)).toContain('lastOffsetDelta')
    expect(old).toMatchObject({ isTransactional: false, isControl: false, baseSequence: -1, partitionLeaderEpoch: -1 })
  })

  const good = messageBytes({ magic: 1, offset: 0, key: text('key'), value: text('value') })
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(good)
    bytes.writeInt32BE(value, at)
    return bytes
  }

  it('a wrong CRC-32 is corrupt, outside and inside a wrapper, unless checks are off', async () => {
    const wrong = Buffer.from(good)
    wrong[40] = (wrong[40] as number) ^ 1
    expect(() => readBatchHeader(wrong, 0)).toThrowError(corrupt(/CRC-32 of a message/))
    await expect(read(wrapper(1, 0, [wrong]))).rejects.toThrowError(corrupt(/CRC-32 of a message/))
    expect((await readBatches(wrapper(1, 0, [wrong]), same, false))[0]?.records.length).toBe(1)
  })

  it.each([
    ['a key longer than the message', changed(26, 900), /key of a message/],
    ['a value that ends too early', changed(33, 4), /value of a message/],
    ['a value that ends too late', changed(33, 6), /value of a message/],
    ['a null value with bytes behind it', changed(33, -1), /value of a message/],
  ])('%s is corrupt', async (_what, bytes, message) => {
    await expect(readBatches(bytes as Buffer, same, false)).rejects.toThrowError(corrupt(message as RegExp))
  })

  it.each([
    ['another magic inside', [messageBytes({ magic: 0, offset: 0 })], /differs in magic/],
    ['a wrapper inside a wrapper', [wrapper(1, 0, [good])], /nested/],
    ['half a message inside', [good, good.subarray(0, 20)], /ends inside a message/],
    ['a negative size inside', [changed(8, -5)], /ends inside a message/],
    [
      'a size too small for its magic inside',
      [Buffer.concat([changed(8, 20).subarray(0, 32)])],
      /shorter than its header/,
    ],
  ])('%s is corrupt', async (_what, inner, message) => {
    await expect(readBatches(wrapper(1, 5, inner as Buffer[]), same, false)).rejects.toThrowError(
      corrupt(message as RegExp),
    )
  })

  it('a compressed message without a value, zstd before magic 2, and a message below its header are corrupt', () => {
    expect(() => readBatchHeader(messageBytes({ magic: 1, offset: 0, attributes: 1, value: null }), 0)).toThrowError(
      corrupt(/no value/),
    )
    expect(() => readBatchHeader(messageBytes({ magic: 1, offset: 0, attributes: 4 }), 0)).toThrowError(
      corrupt(/codec 4/),
    )
    expect(() => readBatchHeader(changed(8, 15), 0)).toThrowError(corrupt(/shorter than its header/))
  })
})
