/**
 * What callers may give a channel: each option has a rule, and a value or a name that means nothing is refused by its name.
 * Why at run time too: a limit that is NaN bounds nothing, a time-out that is NaN is over at once, and a misspelt name is a
 * setting that is not there; all of it is found in production when nobody says so here.
 * Invariant: what is refused has changed nothing; only `undefined` is unset (trap 2).
 */
import { MQError } from '../errors/index.js'
import { nearestName } from '../util/index.js'
import { optionsOf } from './channel-errors.js'
import type { CloseOptions, DoubleBufferOptions } from './channel-types.js'
import { TUNING_FIELDS } from './settings.js'
import type { WaitOptions } from './waiters.js'

export type OptionRule = readonly [isValid: (value: unknown) => boolean, expected: string]
export type OptionRules = { readonly [field: string]: OptionRule }

const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value)

function has(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

const limit: OptionRule = [(value) => isNumber(value) && value >= 1, 'a number of at least 1, or Infinity']
export const percent: OptionRule = [(value) => isNumber(value) && value >= 0 && value <= 100, '0..100']
/** Somebody else looks at the value. */
const any: OptionRule = [() => true, '']

export const milliseconds: OptionRule = [
  (value) => isNumber(value) && value >= 0,
  'milliseconds of at least 0, or Infinity',
]
export const boolean: OptionRule = [(value) => typeof value === 'boolean', 'a boolean']
export const callable: OptionRule = [(value) => typeof value === 'function', 'a function']
export const count: OptionRule = [
  (value) => (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY) && (value as number) >= 0,
  'an integer of at least 0, or Infinity',
]

/** An object with these methods. */
export function objectWith(what: string, ...names: readonly string[]): OptionRule {
  return [(value) => has(value, ...names), `${what}: an object with ${names.join(', ')}`]
}

export function oneOf(...values: readonly string[]): OptionRule {
  return [(value) => values.includes(value as string), values.map((value) => `'${value}'`).join(' or ')]
}

const clock = objectWith('a Clock', 'now', 'monotonicMs', 'setTimer', 'defer')

const SEQUENCER = objectWith('a Sequencer', 'next')
const SEAL_ON = oneOf('due', 'demand')

/** Of `BufferedChannelOptions`. */
export const BUFFERED_RULES: OptionRules = {
  ...Object.fromEntries(TUNING_FIELDS.map((field) => [field, any])), // `channelSettings` looks at them.
  bufferMemoryBytes: limit,
  bufferMaxRecords: limit,
  softPercent: percent,
  resumePercent: percent,
  hardPercent: percent,
  onFull: any, // `checkOnFull`
  spillLog: objectWith('a SpillLog', 'push', 'read', 'shift'),
  evictPolicy: objectWith('an EvictPolicy', 'shouldEvict', 'evict'),
  maxBlockMs: milliseconds,
  metrics: objectWith('metrics, as mq.metrics or createMetrics()', 'attachChannel'),
  clock,
  sequencer: SEQUENCER,
  maxSpares: count,
}

const CLOSE_RULES: OptionRules = { timeoutMs: milliseconds, drain: boolean }

/** Throws INVALID_CONFIG, naming the field, for an unknown name and for a value that means nothing. */
export function checkOptions(options: object, rules: OptionRules): void {
  const given = optionsOf(options) as Readonly<Record<string, unknown>>
  for (const field of Object.keys(given)) if (!Object.hasOwn(rules, field)) throw unknownOption(field, rules)
  for (const [field, rule] of Object.entries(rules)) checkOption(field, given[field], rule)
}

/** Of `DoubleBufferChannel`: ten thousand lanes have one each, so nothing is made here. */
export function checkCoreOptions(options: DoubleBufferOptions): void {
  const { clock: given, maxSpares, sealOn, sequencer } = optionsOf(options)
  checkOption('clock', given, clock)
  checkOption('maxSpares', maxSpares, count)
  checkOption('sealOn', sealOn, SEAL_ON)
  checkOption('sequencer', sequencer, SEQUENCER)
}

export function checkCloseOptions(options: CloseOptions): void {
  checkOptions(options, CLOSE_RULES)
}

/** Of a call that waits; before it takes its place, since one that fails halfway would stay in the queue. */
export function checkWait(options: WaitOptions): void {
  const { timeoutMs, signal } = optionsOf(options)
  if (timeoutMs !== undefined) checkOption('timeoutMs', timeoutMs, milliseconds)
  if (signal !== undefined) checkSignal(signal)
  if (options.clock !== undefined) checkOption('clock', options.clock, clock)
}

export function checkSignal(signal: unknown): void {
  if (has(signal, 'addEventListener', 'removeEventListener') && typeof (signal as AbortSignal).aborted === 'boolean')
    return
  throw wrongOption('signal', signal, 'an AbortSignal')
}

export function checkOption(field: string, value: unknown, [isValid, expected]: OptionRule): void {
  if (value !== undefined && !isValid(value)) throw wrongOption(field, value, expected)
}

export function wrongOption(field: string, value: unknown, expected: string): MQError {
  const got = typeof value === 'object' && value !== null ? 'an object' : String(value)
  return new MQError('INVALID_CONFIG', `${field} is ${got}: expected ${expected}`, { field, value: got })
}

function unknownOption(field: string, rules: OptionRules): MQError {
  const text = `there is no option ${field}: the nearest is ${nearestName(field, Object.keys(rules))}`
  return new MQError('INVALID_CONFIG', text, { field })
}
