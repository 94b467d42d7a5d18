/**
 * Values as JSON (RFC 8259, UTF-8).
 * Why more than JSON.stringify: it gives `undefined` for what it cannot write, which is no bytes at all, and its
 * complaints do not say what to do. What JSON itself drops or changes (fields that are undefined, NaN, Date, Map) is
 * dropped and changed here too.
 */

import { textOf } from './text.js'
import { kindOf, Unfit, type ValueSerializer, valueSerializer } from './value-serializer.js'

/** A byte order mark in front, as some writers put it, is no part of the text. */
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Values as JSON. Refuses `undefined`, functions, symbols, BigInt and objects that contain themselves
 * (SERIALIZATION_FAILED), bytes that are no UTF-8 or no JSON (DESERIALIZATION_FAILED). What comes in is not checked
 * against `T`: validate it where it matters.
 *
 * ```ts
 * const producer = new Producer<Order>({ valueSerializer: json<Order>() })
 * const consumer = new Consumer<Order>({ valueDeserializer: json<Order>() })
 * ```
 */
export function json<T>(): ValueSerializer<T> {
  return anything as ValueSerializer<T>
}

const anything = valueSerializer<unknown>({
  name: 'JSON',
  contentType: 'application/json',
  write(value) {
    const text = written(value)
    if (text === undefined) throw new Unfit(`JSON has no word for ${kindOf(value)}; a tombstone is null`)
    return Buffer.from(text)
  },
  read(data) {
    if (data.length === 0) throw new Unfit('they are none, and JSON has at least one character')
    return JSON.parse(textOf(data, utf8))
  },
})

/** `undefined` where JSON.stringify gives it, although its type does not say so. */
function written(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw reason(cause)
  }
}

/** The words of V8 for the two mistakes that everybody makes once. */
function reason(cause: unknown): unknown {
  const text = cause instanceof TypeError ? cause.message : ''
  if (text.includes('BigInt')) return new Unfit('it holds a BigInt: make it a string or a number first', { cause })
  if (text.includes('circular')) return new Unfit('it contains itself: send what is a tree', { cause })
  return cause
}
