/**
 * The demo's records: events of a small shop, as services really send them: JSON of 120 B to about 2 KB, a customer as
 * key, two headers. Made from a seed, so that every run sends the same bytes.
 */
import { type RandomSource, randomInt, seededRandom } from '../lib/util/index.js'

export interface DemoRecord {
  readonly key: string
  readonly value: string
  readonly headers: Readonly<Record<string, string>>
}

const TYPES = [
  'page_view',
  'page_view',
  'page_view',
  'search',
  'add_to_cart',
  'order_placed',
  'payment',
  'shipment',
] as const
const CITIES = ['Lisbon', 'Oslo', 'Nairobi', 'Osaka', 'Lima', 'Kraków', 'Montréal', 'Hanoi'] as const
const PRODUCTS = ['lamp', 'kettle', 'notebook', 'raincoat', 'bicycle bell', 'tea', 'headphones', 'desk'] as const

/** Position of the sequence number in every value: `{"n":0000000042,...`. */
export const SEQUENCE_AT = 5
export const SEQUENCE_DIGITS = 10

/** An endless source of records. `n` counts per customer: a consumer can check the order of each key. */
export class DemoRecords {
  readonly #random: RandomSource
  readonly #sequences: Int32Array
  readonly #headers: readonly Readonly<Record<string, string>>[]

  constructor(customers: number, seed = 42) {
    this.#random = seededRandom(seed)
    this.#sequences = new Int32Array(customers)
    this.#headers = TYPES.map((type) => ({ type, source: 'demo-shop' }))
  }

  next(): DemoRecord {
    const customer = randomInt(this.#random, this.#sequences.length)
    const n = (this.#sequences[customer] as number) + 1
    this.#sequences[customer] = n
    const kind = randomInt(this.#random, TYPES.length)
    return {
      key: `customer-${customer}`,
      value: this.#value(n, customer, kind),
      headers: this.#headers[kind] as Record<string, string>,
    }
  }

  #value(n: number, customer: number, kind: number): string {
    const type = TYPES[kind] as string
    const head = `{"n":${String(n).padStart(SEQUENCE_DIGITS, '0')},"type":"${type}","customer":${customer},"session":"${this.#hex()}","city":"${this.#pick(CITIES)}"`
    if (type !== 'order_placed' && type !== 'shipment')
      return `${head},"path":"/shop/${this.#pick(PRODUCTS)}","ms":${randomInt(this.#random, 900)}}`
    const count = 1 + randomInt(this.#random, type === 'order_placed' ? 20 : 5)
    const lines = Array.from({ length: count }, () => this.#line()).join(',')
    return `${head},"currency":"EUR","lines":[${lines}]}`
  }

  #line(): string {
    const cents = 99 + randomInt(this.#random, 20_000)
    return `{"sku":"${this.#hex()}","name":"${this.#pick(PRODUCTS)}","quantity":${1 + randomInt(this.#random, 4)},"price":${cents / 100}}`
  }

  #hex(): string {
    return Math.floor(this.#random.next() * 0xffffffff)
      .toString(16)
      .padStart(8, '0')
  }

  #pick(list: readonly string[]): string {
    return list[randomInt(this.#random, list.length)] as string
  }
}

/** The sequence number of a value, read without parsing it. */
export function sequenceOf(value: Uint8Array): number {
  let n = 0
  for (let at = SEQUENCE_AT; at < SEQUENCE_AT + SEQUENCE_DIGITS; at++) n = n * 10 + ((value[at] as number) - 48)
  return n
}
