/** Primitives: what is written reads back, whatever the buffer's size; what is cut off never reads. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { ByteReader, ByteWriter } from '../../lib/protocol/index.js'
import { hex } from '../support/vectors.js'

type Step = readonly [
  name: string,
  write: (writer: ByteWriter) => void,
  read: (reader: ByteReader) => unknown,
  value: unknown,
]

const step = <T>(
  name: string,
  values: fc.Arbitrary<T>,
  write: (writer: ByteWriter, value: T) => void,
  read: (reader: ByteReader) => T,
): fc.Arbitrary<Step> => values.map((value) => [name, (writer) => write(writer, value), read, value] as const)

const int = (min: number, max: number) => fc.integer({ min, max })
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 90 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 200 }),
)
const big = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

const anyStep = fc.oneof(
  step(
    'int8',
    int(-128, 127),
    (w, v) => w.int8(v),
    (r) => r.int8(),
  ),
  step(
    'int16',
    int(-0x8000, 0x7fff),
    (w, v) => w.int16(v),
    (r) => r.int16(),
  ),
  step(
    'uint16',
    int(0, 0xffff),
    (w, v) => w.int16(v),
    (r) => r.uint16(),
  ),
  step(
    'int32',
    int(-(2 ** 31), 2 ** 31 - 1),
    (w, v) => w.int32(v),
    (r) => r.int32(),
  ),
  step(
    'uint32',
    int(0, 2 ** 32 - 1),
    (w, v) => w.int32(v),
    (r) => r.uint32(),
  ),
  step(
    'int64',
    big,
    (w, v) => w.int64(v),
    (r) => r.int64(),
  ),
  step(
    'n64',
    fc.maxSafeInteger(),
    (w, v) => w.n64(v),
    (r) => r.n64(),
  ),
  step(
    'float64',
    fc.double({ noNaN: true }),
    (w, v) => w.float64(v),
    (r) => r.float64(),
  ),
  step(
    'uvarint',
    int(0, 2 ** 32 - 1),
    (w, v) => w.uvarint(v),
    (r) => r.uvarint(),
  ),
  step(
    'varint',
    int(-(2 ** 31), 2 ** 31 - 1),
    (w, v) => w.varint(v),
    (r) => r.varint(),
  ),
  step(
    'varlong',
    fc.maxSafeInteger(),
    (w, v) => w.varlong(v),
    (r) => r.varlong(),
  ),
  step(
    'varlongBig',
    big,
    (w, v) => w.varlongBig(v),
    (r) => r.varlongBig(),
  ),
  step(
    'text16',
    text,
    (w, v) => w.text16(v),
    (r) => r.text(r.int16()),
  ),
  step(
    'compactText',
    text,
    (w, v) => w.compactText(v),
    (r) => r.text(r.uvarint() - 1),
  ),
  step(
    'foreign',
    fc.uint8Array({ maxLength: 40 }).map(hex),
    (w, v) => foreign(w, v),
    (r) => hex(r.bytes(r.int16())),
  ),
  step(
    'uuid',
    fc.uint8Array({ minLength: 16, maxLength: 16 }).map(base64url),
    (w, v) => w.uuid(v),
    (r) => r.uuid(),
  ),
)

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

function foreign(writer: ByteWriter, value: string): void {
  writer.int16(value.length / 2)
  writer.foreign(Buffer.from(value, 'hex'))
}

describe('ByteWriter and ByteReader', () => {
  it('read back what was written, in order, from any first buffer', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 30 }), fc.integer({ min: 0, max: 64 }), (steps, capacity) => {
        const writer = new ByteWriter(capacity)
        for (const [, write] of steps) write(writer)
        const length = writer.length
        const bytes = Buffer.concat(writer.finish())
        expect(bytes.length).toBe(length)
        const reader = new ByteReader(bytes)
        for (const [name, , read, value] of steps) expect([name, read(reader)]).toEqual([name, value])
        expect(reader.remaining).toBe(0)
      }),
    )
  })

  it('W-15: a value cut off is refused, never read past the end', () => {
    fc.assert(
      fc.property(anyStep, fc.nat(), ([, write, read], cut) => {
        const writer = new ByteWriter()
        write(writer)
        const bytes = Buffer.concat(writer.finish())
        const shorter = bytes.subarray(0, cut % bytes.length)
        expect(() => read(new ByteReader(shorter))).toThrow(MQError)
        // The same with bytes behind the end: a window into a larger buffer is a border as well.
        expect(() => read(new ByteReader(bytes, 0, shorter.length))).toThrow(MQError)
      }),
    )
  })

  it('W-15: text that is not UTF-8 is refused', () => {
    const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const isText = (() => {
          try {
            return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
          } catch {
            return null
          }
        })()
        const read = () => new ByteReader(bytes).text(bytes.length)
        if (isText === null) expect(read).toThrow(MQError)
        else expect(read()).toBe(isText)
      }),
    )
  })
})
