/**
 * Which topics the caller wants, each with who gets its records: by name, or by a pattern that names are matched with.
 * Invariant: a topic has one delivery; its own name goes before patterns, an earlier pattern before a later one.
 * Source: features.md CO-1, CO-5, CO-6.
 */
import { MQError } from '../../errors/index.js'
import type { Delivery } from '../cursor.js'

interface Pattern {
  readonly pattern: RegExp
  readonly delivery: Delivery
}

export class Subscriptions {
  readonly #named = new Map<string, Delivery>()
  #patterns: Pattern[] = []
  #known: readonly string[] = [] // names of the last listing
  #matched = new Map<string, Delivery>()

  get isEmpty(): boolean {
    return this.#named.size === 0 && this.#patterns.length === 0
  }

  get hasPatterns(): boolean {
    return this.#patterns.length > 0
  }

  /** Sorted, matches of patterns included. */
  topics(): string[] {
    return [...new Set([...this.#named.keys(), ...this.#matched.keys()])].sort()
  }

  deliveryOf(topic: string): Delivery | undefined {
    return this.#named.get(topic) ?? this.#matched.get(topic)
  }

  /** Subscribed, and with that delivery if one is given. */
  has(item: string | RegExp, delivery?: Delivery): boolean {
    const known = typeof item === 'string' ? this.#named.get(item) : this.#find(item)?.delivery
    return known !== undefined && (delivery === undefined || known === delivery)
  }

  /** Throws INVALID_CONFIG when one of them is subscribed already. */
  refuseTwice(wanted: readonly (string | RegExp)[]): void {
    const seen = new Set<string>()
    for (const item of wanted) {
      if (this.has(item) || seen.has(String(item)))
        throw new MQError('INVALID_CONFIG', `${String(item)} is subscribed already: unsubscribe it first`, {})
      seen.add(String(item))
    }
  }

  add(wanted: readonly (string | RegExp)[], delivery: Delivery): void {
    for (const item of wanted) {
      if (typeof item === 'string') this.#named.set(item, delivery)
      else this.#patterns.push({ pattern: item, delivery })
    }
    this.#match()
  }

  /** What is not subscribed is ignored. */
  remove(wanted: readonly (string | RegExp)[]): void {
    for (const item of wanted) {
      if (typeof item === 'string') this.#named.delete(item)
      else this.#patterns = this.#patterns.filter((known) => known !== this.#find(item))
    }
    this.#match()
  }

  clear(): void {
    this.#named.clear()
    this.#patterns = []
    this.#match()
  }

  /** All topics there are now; true when other ones match than before. */
  saw(names: readonly string[]): boolean {
    this.#known = names
    const before = [...this.#matched.keys()].sort().join()
    this.#match()
    return before !== [...this.#matched.keys()].sort().join()
  }

  #find(pattern: RegExp): Pattern | undefined {
    return this.#patterns.find((known) => String(known.pattern) === String(pattern))
  }

  #match(): void {
    this.#matched = new Map()
    if (this.#patterns.length === 0) return
    for (const name of this.#known) {
      const found = this.#patterns.find(({ pattern }) => matches(pattern, name))
      if (found !== undefined) this.#matched.set(name, found.delivery)
    }
  }
}

/** A pattern with the flag g or y remembers where it stopped; that must not decide. */
function matches(pattern: RegExp, name: string): boolean {
  pattern.lastIndex = 0
  return pattern.test(name)
}
