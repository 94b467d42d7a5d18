/**
 * From a queue's options to frozen, complete settings, along the same tables as everything else: unknown names are
 * answered with the nearest, aliases may not contradict, every finding is thrown at once.
 * Invariant: the input is never changed. Source: wal.md 7.
 */
import type { PresetName } from './client-types.js'
import { atMost } from './comparing.js'
import { Draft } from './draft.js'
import { Findings } from './issues.js'
import { largestSegment } from './log-relations.js'
import { fieldsOf, isPlainObject } from './objects.js'
import { queueFields } from './queue-fields.js'
import { queuePreset } from './queue-presets.js'
import type { QueueInput, QueueSettings } from './queue-types.js'
import { collect, type Entries, scopeOf } from './scope.js'
import { kindOf } from './shown.js'

const scope = scopeOf(queueFields)
/** Groups that also take true, and false or null = off. */
const SWITCHES = ['circuitBreaker', 'adaptive'] as const
const HOLDING = ['os', 'periodic', 'immediate']

/** Throws INVALID_CONFIG or MISSING_CONFIG with every finding in `context.issues`. */
export function resolveQueueOptions(options: QueueInput & { readonly send: unknown }): QueueSettings {
  const findings = new Findings()
  const given = collectGiven(options, findings)
  const preset = given.get('preset')
  const below = preset === undefined || preset.isBad ? [] : presetEntries(preset.value as PresetName)
  const draft = new Draft(scope, new Map([...below, ...given]), '', findings)
  if (!given.has('send')) findings.missing('send', 'a function that sends a batch')
  relateModes(draft)
  relateLimits(draft)
  relateLogFiles(draft)
  findings.throwIfAny()
  const { send, codec, ...settings } = draft.finish() as QueueSettings & { send: unknown; codec: unknown }
  return Object.freeze(settings)
}

function collectGiven(options: unknown, findings: Findings): Entries {
  const fields = isPlainObject(options) ? fieldsOf(options) : undefined
  if (fields === undefined) {
    findings.invalid('options', kindOf(options), 'an object')
    return new Map()
  }
  for (const group of SWITCHES) fields[group] = asGroup(fields[group])
  return collect(fields, scope, '', findings)
}

/** Whoever names a group wants what it is about, unless he says otherwise. */
function asGroup(value: unknown): unknown {
  if (value === true) return { enabled: true }
  if (value === false || value === null) return { enabled: false }
  return isPlainObject(value) ? { enabled: true, ...fieldsOf(value) } : value
}

function presetEntries(name: PresetName): Entries {
  const findings = new Findings()
  const entries: Entries = new Map()
  for (const [path, entry] of collect(queuePreset(name), scope, '', findings)) {
    entries.set(path, { ...entry, isPreset: true })
  }
  findings.throwIfAny()
  return entries
}

/** `overflow: 'spill'` and durability 'spill' are the same wish; with a durable mode the excess is in the log anyway. */
function relateModes(draft: Draft): void {
  if (draft.get('overflow') === 'spill' && !draft.isSet('durability')) draft.set('durability', 'spill')
  const durability = draft.get('durability') as string
  if (durability === 'spill' && !draft.isSet('overflow')) draft.set('overflow', 'spill')
  const overflow = draft.get('overflow')
  const isContradiction =
    (durability === 'spill' && overflow !== 'spill') || (durability === 'memory' && overflow === 'spill')
  const rule =
    durability === 'spill' ? "'spill', which is what it means to have" : "not 'spill', which needs a log, with"
  draft.relate('overflow', ['durability'], !isContradiction, rule)
  if (draft.get('onExhausted') === undefined) {
    draft.set('onExhausted', HOLDING.includes(durability) ? 'hold' : 'fail')
  }
  if (durability !== 'memory' && draft.get('dir') === undefined) {
    draft.findings.missing(draft.at('dir'), `a directory for durability '${durability}'`)
  }
}

/** A mark that was not given follows the one above it. */
function relateLimits(draft: Draft): void {
  follow(draft, 'softPercent', 'hardPercent')
  follow(draft, 'resumePercent', 'softPercent')
  atMost(draft, 'softPercent', 'hardPercent')
  atMost(draft, 'resumePercent', 'softPercent')
  atMost(draft, 'retryBaseMs', 'retryMaxMs')
  atMost(draft, 'adaptive.minItems', 'adaptive.maxItems')
  const areBothGiven = draft.isSet('sendTimeoutMs') && draft.isSet('deliveryTimeoutMs')
  const fits = draft.number('sendTimeoutMs') <= draft.number('deliveryTimeoutMs')
  draft.relate('sendTimeoutMs', ['deliveryTimeoutMs'], !areBothGiven || fits, 'at most')
}

function follow(draft: Draft, path: string, above: string): void {
  if (!draft.isSet(path)) draft.set(path, Math.min(draft.number(path), draft.number(above)))
}

function relateLogFiles(draft: Draft): void {
  const largest = largestSegment(draft.number('walMaxBytes'))
  if (draft.get('wal.segmentBytes') === undefined) draft.set('wal.segmentBytes', largest)
  const fits = draft.number('wal.segmentBytes') <= largest
  draft.relate('wal.segmentBytes', ['walMaxBytes'], fits, 'at most an eighth of')
}
