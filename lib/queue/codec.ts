/**
 * How items become bytes and items again.
 * Why a codec refuses instead of doing what it can: an item that comes back from the disk as another one was lost silently.
 * Invariant: decode(encode(x)) is x, as far as the format has it; everything else is SERIALIZATION_FAILED.
 */
import { MQError } from '../errors/index.js'

export interface ItemCodec<T> {
  /**
   * Writes the item to the start of `into` and gives its length in bytes. A length above that of `into` means that
   * nothing was written: it is called again with so much room. Throws for what it cannot represent.
   */
  encode(item: T, into: Uint8Array): number
  /** `view` is valid until it returns: what is kept is copied. Throws for bytes that are no item. */
  decode(view: Uint8Array): T
}

/** JSON, in UTF-8. Refused: undefined, functions, symbols, bigints, cycles, NaN, infinities, maps, sets and the like. */
export function jsonCodec<T>(): ItemCodec<T> {
  return {
    encode(item, into) {
      const text = jsonOf(item)
      // A UTF-16 unit takes at most three bytes: only a text that might not fit is measured.
      if (text.length * 3 > into.length) {
        const bytes = Buffer.byteLength(text)
        if (bytes > into.length) return bytes
      }
      return bufferOf(into).write(text, 0)
    },
    decode: (view) => JSON.parse(bufferOf(view).toString()) as T,
  }
}

/** Bytes as they are; copied on the way in and out. */
export function bytesCodec(): ItemCodec<Uint8Array> {
  return {
    encode(item, into) {
      if (!(item instanceof Uint8Array)) throw refusal(`expected bytes (a Uint8Array), got ${kindOf(item)}`)
      if (item.length <= into.length) into.set(item)
      return item.length
    },
    decode: (view) => new Uint8Array(view), // A copy.
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function jsonOf(item: unknown): string {
  const text = JSON.stringify(item) as string | undefined // Throws for cycles and bigints.
  if (text === undefined) throw refusal(`${kindOf(item)} is no JSON`)
  // What JSON cannot represent it writes as null or {}: only then it is worth a look.
  if (text.includes('null') || text.includes('{}')) checkFaithful(item, '')
  return text
}

/** Throws for what `JSON.stringify` has changed silently. It came to an end, so there is no cycle. */
function checkFaithful(value: unknown, path: string): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw refusal(`${at(path)} is ${value}, which JSON has not`)
  if (typeof value !== 'object' || value === null) return
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return checkDate(value, path)
  if (Array.isArray(value)) return checkList(value, path)
  const entries = Object.entries(value)
  if (entries.length === 0 && !isPlain(value)) throw refusal(`${at(path)} is ${kindOf(value)}, which JSON has not`)
  for (const [key, field] of entries) checkFaithful(field, path === '' ? key : `${path}.${key}`)
}

function checkDate(value: object, path: string): void {
  if (value instanceof Date && Number.isNaN(value.getTime())) throw refusal(`${at(path)} is an invalid date`)
}

function checkList(list: readonly unknown[], path: string): void {
  for (let index = 0; index < list.length; index++) {
    const value = list[index]
    if (value === undefined || typeof value === 'function' || typeof value === 'symbol') {
      throw refusal(`${at(`${path}[${index}]`)} is ${kindOf(value)}, which JSON has not`)
    }
    checkFaithful(value, `${path}[${index}]`)
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function at(path: string): string {
  return path === '' ? 'the item' : path
}

function kindOf(value: unknown): string {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  return value.constructor?.name ?? 'object'
}

function refusal(text: string): MQError {
  return new MQError('SERIALIZATION_FAILED', text)
}
