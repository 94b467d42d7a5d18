import { describe, expect, it } from 'vitest'
import { BatchView, RecordView } from '../../../lib/consumer/records/record-view.js'
import { MQError } from '../../../lib/errors/index.js'
import { type BatchHeader, RecordCursor, readBatchHeader } from '../../../lib/protocol/index.js'
import { bytesOf } from '../../support/batch-bytes.js'
import { storedBatch } from '../batches.js'

const plain = { copies: true, keyDeserializer: undefined, valueDeserializer: undefined }

function views<V = Buffer, K = Buffer>(bytes: Buffer, settings: object = plain): RecordView<V, K>[] {
  const header = readBatchHeader(bytes, 0) as BatchHeader
  const records = bytes.subarray(header.payloadAt, header.payloadEnd)
  const cursor = new RecordCursor()
  cursor.open(header, records)
  const batch = new BatchView('orders', 3, header.partitionLeaderEpoch, records, { ...plain, ...settings })
  const read: RecordView<V, K>[] = []
  while (cursor.next()) read.push(new RecordView<V, K>(batch, cursor))
  return read
}

const isInside = (part: Uint8Array, whole: Uint8Array) => part.buffer === whole.buffer

describe('RecordView', () => {
  it('CO-3: has topic, partition, offset, timestamp, key, value, headers, leaderEpoch', () => {
    const spec = {
      baseOffset: 5_000_000_000,
      leaderEpoch: 7,
      keys: ['k', null],
      values: [null, ''],
      timestamps: [50, 40],
    }
    const [first, second] = views(storedBatch(spec))
    expect([first?.topic, first?.partition, first?.leaderEpoch]).toEqual(['orders', 3, 7])
    expect([first?.offset, first?.timestamp, second?.offset, second?.timestamp]).toEqual([5e9, 50, 5e9 + 1, 40])
    expect([first?.key?.toString(), first?.value, second?.key, second?.value?.length]).toEqual(['k', null, null, 0])
    expect(first?.headers).toEqual([])
  })
  it('CO-3: headers keep order and duplicates; null and empty differ', () => {
    const record = bytesOf(
      '2c000000' + '02' + '76' + '08' + '0261' + '0278' + '0261' + '01' + '0262' + '00' + '02c3' + '027a',
    )
    record[0] = (record.length - 1) * 2
    const batch = storedBatch({ baseOffset: 0, values: ['x'] })
    const header = { ...(readBatchHeader(batch, 0) as BatchHeader), count: 1 }
    const cursor = new RecordCursor()
    const bytes = Buffer.concat([Buffer.of((record.length - 1) * 2, 0, 0, 0, 1, 2, 0x76), record.subarray(6)])
    bytes[0] = (bytes.length - 1) * 2
    cursor.open(header, bytes)
    expect(cursor.next()).toBe(true)
    const view = new RecordView(new BatchView('t', 0, 0, bytes, plain), cursor)
    expect(view.headers.map(([name, value]) => [name, value === null ? null : Buffer.from(value).toString()])).toEqual([
      ['a', 'x'],
      ['a', null],
      ['b', ''],
      ['\ufffd', 'z'],
    ])
    expect(view.headers).toBe(view.headers)
  })
  it('CO-3: what was touched is read once', () => {
    const [view] = views(storedBatch({ baseOffset: 0, values: ['value'], keys: ['key'] }))
    expect(view?.value).toBe(view?.value)
    expect(view?.key).toBe(view?.key)
  })
  it('C-42, CH-11: safe mode keeps small values out of the fetched bytes, from 1024 bytes on they are views', () => {
    const stored = storedBatch({ baseOffset: 0, values: ['a'.repeat(1023), 'b'.repeat(1024)], keys: ['k', 'k'] })
    // As an answer of its own memory: small buffers otherwise share the runtime's pool with everything else.
    const bytes = Buffer.allocUnsafeSlow(stored.length)
    bytes.set(stored)
    const [small, large] = views(bytes)
    expect([isInside(small?.value as Buffer, bytes), isInside(large?.value as Buffer, bytes)]).toEqual([false, true])
    expect(isInside(small?.key as Buffer, bytes)).toBe(false)
    expect([small?.value?.toString(), large?.value?.toString()]).toEqual(['a'.repeat(1023), 'b'.repeat(1024)])
  })
  it('C-42: a kept value of safe mode pins a small window, whatever the size of the fetch', () => {
    const values = Array.from({ length: 2_000 }, (_, index) => `value ${index}`.padEnd(100, '.'))
    const read = views(storedBatch({ baseOffset: 0, values }))
    for (const index of [1_999, 0, 1_000, 3, 1_998]) {
      const value = read[index]?.value as Buffer
      expect(value.toString()).toBe(values[index])
      expect(value.buffer.byteLength).toBeLessThanOrEqual(Math.max(8_192, Buffer.poolSize))
    }
    expect(read.map((view) => view.value?.toString())).toEqual(values)
  })
  it('CH-11: zeroCopy gives views only', () => {
    const bytes = storedBatch({ baseOffset: 0, values: ['small'], keys: ['k'] })
    const [view] = views(bytes, { copies: false })
    expect(isInside(view?.value as Buffer, bytes) && isInside(view?.key as Buffer, bytes)).toBe(true)
  })
  it('CO-3: deserializers give the types, see null as null, and are asked once', () => {
    let calls = 0
    const number = {
      deserialize: (bytes: Uint8Array, topic: string): [string, number] => {
        calls++
        return [topic, Number(Buffer.from(bytes))]
      },
    }
    const bytes = storedBatch({ baseOffset: 0, values: ['42', null] })
    const [first, second] = views<[string, number], Buffer>(bytes, { valueDeserializer: number })
    expect([first?.value, first?.value, second?.value, calls]).toEqual([['orders', 42], ['orders', 42], null, 1])
  })
  it('CD-3: a deserializer that throws is a DESERIALIZATION_FAILED with the place', () => {
    const bad = { deserialize: () => JSON.parse('{') }
    const [view] = views(storedBatch({ baseOffset: 9, values: ['{'] }), { valueDeserializer: bad })
    try {
      expect(view?.value).toBe('never')
    } catch (error) {
      expect(error).toBeInstanceOf(MQError)
      const { code, context, cause } = error as MQError
      expect([code, context.topic, context.partition, context.offset]).toEqual([
        'DESERIALIZATION_FAILED',
        'orders',
        3,
        9,
      ])
      expect(cause).toBeInstanceOf(SyntaxError)
    }
  })
})
