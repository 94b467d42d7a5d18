/**
 * Varints against Kafka's own: every edge of the length groups, and odd input (overlong, cut, overflowing).
 * Source of the cases: vectors/varint.json; without the folder the part of it that is kept in test/fixtures.
 */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { ByteReader, ByteWriter } from '../../lib/protocol/index.js'
import { fixture, hasVectors, hex, unhex, vectors } from '../support/vectors.js'

type Pair = [value: number | string, bytes: string]
type Answer = { value: string } | { exception: string }
interface Odd {
  hex: string
  varint: Answer
  varlong: Answer
  unsignedVarint: Answer
}
const source = vectors('varint.json') ?? fixture('varint.json')

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter(1)
  write(writer)
  return hex(Buffer.concat(writer.finish()))
}

function checkPairs<T>(
  pairs: Pair[],
  of: (value: number | string) => T,
  write: (writer: ByteWriter, value: T) => void,
  read: (reader: ByteReader) => T,
): void {
  expect(pairs.length).toBeGreaterThan(15)
  for (const [value, bytes] of pairs) {
    expect(
      written((writer) => write(writer, of(value))),
      `write ${value}`,
    ).toBe(bytes)
    const reader = new ByteReader(unhex(bytes))
    expect(read(reader), `read ${bytes}`).toBe(of(value))
    expect(reader.remaining).toBe(0)
  }
}

describe(`varints made by Apache Kafka (${hasVectors ? 'all' : 'fixtures only'})`, () => {
  it('reads and writes varints', () => {
    checkPairs(
      source.varint,
      Number,
      (writer, value) => writer.varint(value),
      (reader) => reader.varint(),
    )
  })

  it('reads and writes unsigned varints', () => {
    const unsigned = (value: number | string) => Number(value) >>> 0
    checkPairs(
      source.unsignedVarint,
      unsigned,
      (writer, value) => writer.uvarint(value),
      (reader) => reader.uvarint(),
    )
  })

  it('reads and writes varlongs as bigint, over all 64 bits', () => {
    checkPairs(
      source.varlong,
      BigInt,
      (writer, value) => writer.varlongBig(value),
      (reader) => reader.varlongBig(),
    )
  })

  it('reads and writes unsigned varlongs', () => {
    const unsigned = (value: number | string) => BigInt.asUintN(64, BigInt(value))
    checkPairs(
      source.unsignedVarlong,
      unsigned,
      (writer, value) => writer.uvarlongBig(value),
      (reader) => reader.uvarlongBig(),
    )
  })

  it('W-4: reads and writes varlongs as numbers where they are safe; others are an error, never rounded', () => {
    const isSafe = ([value]: Pair) => Number.isSafeInteger(Number(value)) && BigInt(Number(value)) === BigInt(value)
    const pairs: Pair[] = source.varlong
    checkPairs(
      pairs.filter(isSafe),
      Number,
      (writer, value) => writer.varlong(value),
      (reader) => reader.varlong(),
    )
    const unsafe = pairs.filter((pair) => !isSafe(pair))
    expect(unsafe.length).toBeGreaterThan(0)
    for (const [, bytes] of unsafe) expect(() => new ByteReader(unhex(bytes)).varlong()).toThrow(MQError)
  })

  it('W-15: answers odd input as Kafka does: the same value, or an error', () => {
    const odd: Odd[] = source.read
    expect(odd.length).toBeGreaterThan(15)
    for (const one of odd) {
      const answer = (read: (reader: ByteReader) => unknown): string => {
        try {
          return String(read(new ByteReader(unhex(one.hex))))
        } catch (error) {
          expect(error).toBeInstanceOf(MQError)
          return 'error'
        }
      }
      const theirs = (result: Answer) => ('value' in result ? result.value : 'error')
      expect(
        answer((reader) => reader.varint()),
        `varint ${one.hex}`,
      ).toBe(theirs(one.varint))
      expect(
        answer((reader) => reader.uvarint() | 0),
        `uvarint ${one.hex}`,
      ).toBe(theirs(one.unsignedVarint))
      expect(
        answer((reader) => reader.varlongBig()),
        `varlong ${one.hex}`,
      ).toBe(theirs(one.varlong))
      const value = theirs(one.varlong)
      const expected = value === 'error' || !Number.isSafeInteger(Number(value)) ? 'error' : value
      expect(
        answer((reader) => reader.varlong()),
        `varlong as number ${one.hex}`,
      ).toBe(expected)
    }
  })
})
