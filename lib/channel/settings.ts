/**
 * The settings of a channel: complete, checked and frozen, with the switch plan made once.
 * Why one object: ten thousand lanes share it, and a hot update is the exchange of one reference (CH-8).
 * Invariant: settings that exist are valid; a wrong value throws INVALID_CONFIG and changes nothing.
 */
import { MQError } from '../errors/index.js'
import { optionsOf } from './channel-errors.js'
import { makePlan, type SwitchPlan } from './switch-plan.js'
import { DEFAULT_STRATEGY, type StrategyConfig } from './switch-strategy.js'

/** What can be set, at construction and while running. `undefined` = leave as it is. */
export interface ChannelTuning extends StrategyConfig {
  /** The write that reaches this many records makes the buffer due. Default `Infinity`. */
  readonly maxRecords: number
  /** The write that reaches this many bytes makes the buffer due. Default `Infinity`; above 2 GiB (2^31 - 1) it counts as that. */
  readonly maxBytes: number
  /** Longest time since the first record of a buffer. Milliseconds, default 5,000; 0 = due at the first record, `Infinity` = no deadline. */
  readonly windowMs: number
}

export type ChannelUpdate = { readonly [K in keyof ChannelTuning]?: ChannelTuning[K] | undefined }

export interface ChannelSettings extends ChannelTuning {
  readonly plan: SwitchPlan
}

/** Longest delay that a timer of Node can take; longer ones would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

const DEFAULTS: ChannelTuning = Object.freeze({
  ...DEFAULT_STRATEGY,
  maxRecords: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  windowMs: 5000,
})

type Rule = readonly [isValid: (value: unknown) => boolean, expected: string]

const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value)
const capacity: Rule = [
  (value) => isNumber(value) && value >= 1 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY),
  'an integer >= 1, or Infinity',
]
const weight: Rule = [(value) => isNumber(value) && value >= 0 && value <= 1, '0..1']

const RULES: { readonly [K in keyof ChannelTuning]: Rule } = {
  maxRecords: capacity,
  maxBytes: capacity,
  windowMs: [
    (value) => isNumber(value) && value >= 0 && (value <= MAX_TIMER_MS || value === Number.POSITIVE_INFINITY),
    `0..${MAX_TIMER_MS} ms, or Infinity`,
  ],
  switchStrategy: [
    (value) => typeof value === 'function' || value === 'default' || value === 'time' || value === 'size',
    "'default', 'time', 'size' or a function",
  ],
  timeWeight: weight,
  sizeWeight: weight,
  threshold: [(value) => isNumber(value) && value > 0, 'above 0'],
  fillPercent: [(value) => isNumber(value) && value >= 1 && value <= 100, '1..100'],
}

export const TUNING_FIELDS = Object.keys(RULES) as readonly (keyof ChannelTuning)[]

/** The result of last time: lanes are made with equal tuning one after the other, and then share settings and plan. */
let lastSettings: ChannelSettings | null = null

/** Complete settings from some of them. Throws INVALID_CONFIG, naming the field. */
export function channelSettings(config: ChannelUpdate = {}, base: ChannelTuning = DEFAULTS): ChannelSettings {
  optionsOf(config)
  const merged: Record<string, unknown> = { ...pick(base) }
  for (const [field, value] of Object.entries(config)) {
    if (value === undefined) continue // Only undefined means unset; 0 and false are values (trap 2).
    check(field, value)
    merged[field] = value
  }
  const complete = merged as unknown as ChannelTuning
  if (lastSettings !== null && isSame(lastSettings, complete)) return lastSettings
  checkSum(complete)
  lastSettings = Object.freeze({ ...complete, plan: makePlan(complete) })
  return lastSettings
}

function isSame(a: ChannelTuning, b: ChannelTuning): boolean {
  return TUNING_FIELDS.every((field) => Object.is(a[field], b[field]))
}

/** True for a field that `updateConfig` of a channel takes. */
export function isChannelField(field: string): field is keyof ChannelTuning {
  return Object.hasOwn(RULES, field)
}

/** The settings among the options of a channel; those that are unset are left out. */
export function tuningOf(options: ChannelUpdate): ChannelUpdate {
  return Object.fromEntries(
    TUNING_FIELDS.filter((field) => options[field] !== undefined).map((field) => [field, options[field]]),
  )
}

function pick(config: ChannelTuning): ChannelTuning {
  const { maxRecords, maxBytes, windowMs, switchStrategy, timeWeight, sizeWeight, threshold, fillPercent } = config
  return { maxRecords, maxBytes, windowMs, switchStrategy, timeWeight, sizeWeight, threshold, fillPercent }
}

function check(field: string, value: unknown): void {
  if (!isChannelField(field)) {
    throw new MQError('INVALID_CONFIG', `channel has no field ${field}: use one of ${Object.keys(RULES).join(', ')}`, {
      field,
    })
  }
  const [isValid, expected] = RULES[field]
  if (!isValid(value)) {
    throw new MQError('INVALID_CONFIG', `${field} is ${String(value)}: expected ${expected}`, { field, value })
  }
}

function checkSum({ timeWeight, sizeWeight, threshold }: ChannelTuning): void {
  const sum = timeWeight + sizeWeight
  // A threshold above the sum could never be reached before the buffer is full: the rule would be without effect.
  if (sum > 0 && threshold <= sum + 1e-9) return
  throw new MQError(
    'INVALID_CONFIG',
    `threshold ${threshold} with timeWeight ${timeWeight} and sizeWeight ${sizeWeight}: expected weights with a sum above 0 and a threshold not above it`,
    { field: 'threshold', threshold, timeWeight, sizeWeight },
  )
}
