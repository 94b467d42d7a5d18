/**
 * What can be refused before any broker is asked.
 * Why before: a broker's answer to an illegal name differs from version to version, and the text here can say what is
 * expected. Codes are those the broker's answer would become.
 */
import { type ErrorCode, MQError } from '../errors/index.js'
import type { ConfigInput, NewTopic } from './types.js'

const LEGAL_NAME = /^[a-zA-Z0-9._-]{1,249}$/
const MAX_INT32 = 0x7fff_ffff
const MAX_INT16 = 0x7fff

export function checkInteger(
  name: string,
  value: unknown,
  min: number,
  max: number,
  code: ErrorCode = 'INVALID_CONFIG',
): void {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return
  throw new MQError(code, `${name}: expected an integer ${min}..${max}, got ${shown(value)}`, { path: name, value })
}

/** Throws INVALID_TOPIC. */
export function checkTopicName(topic: unknown): asserts topic is string {
  if (typeof topic === 'string' && LEGAL_NAME.test(topic) && topic !== '.' && topic !== '..') return
  const text = `${shown(topic)} is no topic name: expected 1..249 of [a-zA-Z0-9._-], neither '.' nor '..'`
  throw new MQError('INVALID_TOPIC', text, typeof topic === 'string' ? { topic } : {})
}

export function checkGroupId(groupId: unknown): asserts groupId is string {
  if (typeof groupId === 'string' && groupId !== '') return
  throw new MQError('INVALID_CONFIG', `groupId: expected a text that is not empty, got ${shown(groupId)}`, {
    path: 'groupId',
  })
}

/** Partition counts: INVALID_PARTITION. */
export function checkCount(topic: string, count: unknown): void {
  checkInteger(`partitions of ${topic}`, count, 1, MAX_INT32, 'INVALID_PARTITION')
}

export function checkNewTopic({ name, partitions, replicationFactor, configs }: NewTopic): void {
  checkTopicName(name)
  if (partitions !== undefined) checkCount(name, partitions)
  if (replicationFactor !== undefined) checkInteger(`replicationFactor of ${name}`, replicationFactor, 1, MAX_INT16)
  if (configs !== undefined) checkConfigs(`configs of ${name}`, configs, false)
}

/** Throws INVALID_CONFIG. */
export function checkConfigs(
  path: string,
  configs: Readonly<Record<string, ConfigInput | null>>,
  isNullAllowed: boolean,
): void {
  if (typeof configs !== 'object' || configs === null || Array.isArray(configs)) {
    throw new MQError('INVALID_CONFIG', `${path}: expected an object of settings by name, got ${shown(configs)}`)
  }
  for (const [name, value] of Object.entries(configs)) {
    const isLegal = ['string', 'number', 'boolean'].includes(typeof value) || (isNullAllowed && value === null)
    if (isLegal && !Number.isNaN(value)) continue
    const expected = isNullAllowed ? 'a text, number, boolean or null' : 'a text, number or boolean'
    throw new MQError('INVALID_CONFIG', `${path}: expected ${expected} for ${name}, got ${shown(value)}`, { name })
  }
}

/** Each once: Kafka refuses a request that names the same twice, and the results would be ambiguous. */
export function checkDistinct(what: string, names: readonly string[]): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined)
    throw new MQError('INVALID_CONFIG', `${what} ${twice} is named twice: name it once`, { twice })
}

export function checkList(what: string, list: unknown): void {
  if (!Array.isArray(list)) throw new MQError('INVALID_CONFIG', `${what}: expected a list, got ${shown(list)}`)
}

export function checkObject(what: string, item: unknown): void {
  if (typeof item === 'object' && item !== null) return
  throw new MQError('INVALID_CONFIG', `${what}: expected an object, got ${shown(item)}`)
}

/** A list whose items have fields. */
export function checkObjects(what: string, list: unknown): void {
  checkList(what, list)
  for (const item of list as readonly unknown[]) checkObject(what, item)
}

/** At most 60 characters of anything. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 60)}...'` : `'${value}'`
  return value === null ? 'null' : typeof value === 'object' ? 'an object' : String(value)
}
