/**
 * Who a client is and what it may do: rules are exact names, or a beginning with `*` behind it. GW-4.
 * Invariant: nothing is allowed that no rule names.
 */
import { isUtf8 } from 'node:buffer'
import { MQError } from '../errors/index.js'
import type { Identity } from './types.js'

const MAX_NAME_LENGTH = 249
const TOPIC_RULE = /^(?:[a-zA-Z0-9._-]{1,249}\*?|\*)$/
/** How names of Kafka's own topics begin. */
const INTERNAL = '__'
const LISTS = ['publish', 'subscribe', 'keys'] as const

export class Permissions {
  readonly name: string
  readonly isAnonymous: boolean
  readonly maySeeStats: boolean
  readonly #publish: Rules
  readonly #subscribe: Rules
  readonly #keys: Rules

  /** Throws INVALID_CONFIG for what is no identity: it comes from a function of the user. */
  constructor(identity: Identity, isAnonymous = false) {
    checkIdentity(identity, isAnonymous)
    const { name, publish = [], subscribe = [], stats = false } = identity
    this.name = name
    this.isAnonymous = isAnonymous
    this.maySeeStats = stats
    this.#publish = new Rules(publish)
    this.#subscribe = new Rules(subscribe)
    // Somebody without a name has no key of his own.
    this.#keys = new Rules(identity.keys ?? [], name === '' ? undefined : name)
  }

  mayPublish(topic: string): boolean {
    return this.#publish.allowTopic(topic)
  }

  maySubscribe(topic: string): boolean {
    return this.#subscribe.allowTopic(topic)
  }

  /** Keys are bytes; what is no text only `*` allows. */
  mayReadKey(key: Uint8Array): boolean {
    if (this.mayReadAllKeys) return true
    return isUtf8(key) && this.#keys.allow(Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('utf8'))
  }

  get mayReadAllKeys(): boolean {
    return this.#keys.allowsAll
  }
}

class Rules {
  readonly allowsAll: boolean
  readonly #names: ReadonlySet<string>
  readonly #beginnings: readonly string[]

  /** `own` is a name, whatever characters are in it. */
  constructor(rules: readonly string[], own?: string) {
    this.allowsAll = rules.includes('*')
    this.#names = new Set([...rules.filter((rule) => !rule.endsWith('*')), ...(own === undefined ? [] : [own])])
    this.#beginnings = rules.filter((rule) => rule.endsWith('*')).map((rule) => rule.slice(0, -1))
  }

  allow(name: string): boolean {
    return this.#names.has(name) || this.#beginnings.some((beginning) => name.startsWith(beginning))
  }

  /** As `allow`, but Kafka's own topics (`__consumer_offsets`) only by a rule that begins as they do. */
  allowTopic(topic: string): boolean {
    if (!topic.startsWith(INTERNAL)) return this.allow(topic)
    const spelt = (beginning: string) => beginning.startsWith(INTERNAL) && topic.startsWith(beginning)
    return this.#names.has(topic) || this.#beginnings.some(spelt)
  }
}

function checkIdentity(identity: unknown, isAnonymous: boolean): void {
  const fields = typeof identity === 'object' && identity !== null ? (identity as Record<string, unknown>) : undefined
  if (fields === undefined) throw wrong('an object with a name, or null', 'identity')
  const { name, stats = false } = fields
  const isName = typeof name === 'string' && name.length <= MAX_NAME_LENGTH && (name.length > 0 || isAnonymous)
  if (!isName) throw wrong(`a text of 1 to ${MAX_NAME_LENGTH} characters`, 'name')
  if (typeof stats !== 'boolean') throw wrong('true or false', 'stats')
  for (const list of LISTS) checkRules(fields[list] ?? [], list)
}

function checkRules(rules: unknown, list: (typeof LISTS)[number]): void {
  const isRule = (rule: unknown) => typeof rule === 'string' && (list === 'keys' || TOPIC_RULE.test(rule))
  if (Array.isArray(rules) && rules.every(isRule)) return
  throw wrong(`a list of ${list === 'keys' ? 'names' : 'topics'}, * at the end of one for whatever follows`, list)
}

function wrong(expected: string, path: string): MQError {
  return new MQError('INVALID_CONFIG', `${path} of a gateway's client: expected ${expected}`, { path })
}
