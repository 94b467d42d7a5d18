/**
 * From what a caller passed to a frozen, complete configuration.
 * Steps: collect along the table (aliases, ranges, unknown fields), inherit, lay the preset below, draft with
 * defaults, relations, throw every finding at once, freeze. Invariant: the input is never changed; a resolved object
 * resolves to itself. Source: features.md CF-1..CF-4.
 */
import { clientFields } from './client-fields.js'
import type { PresetName, ResolvedClientConfig } from './client-types.js'
import { consumerFields } from './consumer-fields.js'
import type { ResolvedConsumerConfig } from './consumer-types.js'
import { Draft } from './draft.js'
import type { FieldSpec } from './field.js'
import type {
  ClientConfig,
  ConsumerConfig,
  MQConfig,
  ProducerConfig,
  ProducerUpdate,
  ResolvedConfig,
} from './input-types.js'
import { type ConfigWarning, Findings } from './issues.js'
import { fieldsOf, isPlainObject, isSame } from './objects.js'
import { PRESETS } from './presets.js'
import { producerFields } from './producer-fields.js'
import type { ResolvedProducerConfig } from './producer-types.js'
import { relateClient, relateConsumer, relateProducer } from './relations.js'
import { collect, type Entries, type Scope, scopeOf, shownBy } from './scope.js'
import { kindOf } from './shown.js'

/** One form of a configuration: its fields, its rules, and the parts of a preset that concern it. */
interface Form {
  readonly scope: Scope
  readonly relations: readonly ((draft: Draft) => void)[]
  readonly presetParts: readonly ('client' | 'producer' | 'consumer')[]
}

const clientForm: Form = { scope: scopeOf(clientFields), relations: [relateClient], presetParts: ['client'] }
const producerForm: Form = {
  scope: scopeOf(producerFields, clientFields),
  relations: [relateClient, relateProducer],
  presetParts: ['client', 'producer'],
}
const consumerForm: Form = {
  scope: scopeOf(consumerFields, clientFields),
  relations: [relateClient, relateConsumer],
  presetParts: ['client', 'consumer'],
}
/** The top of a whole: as a client's, and knows what its groups hold. */
const wholeScope = scopeOf(clientFields, {}, placesIn({ producer: producerForm.scope, consumer: consumerForm.scope }))
/** PR-11: what a producer may be given anew while it runs. */
const CHANGING_FIELDS = ['lingerMs', 'batchBytes', 'batchMaxRecords', 'compression', 'switchStrategy', 'maxInFlight']

interface Origin {
  readonly form: Form | 'whole'
  readonly warnings: readonly ConfigWarning[]
  /** Of a whole, what its caller gave: when it gets a further producer, only that counts as set. */
  readonly given: Given | null
}

/** As it was when it was resolved: callers may change their objects afterwards. */
interface Given {
  readonly producer: Entries
  readonly consumer: Entries
}

/** What resolving an object said besides its result; also marks objects that are resolved already, and as what. */
const origins = new WeakMap<object, Origin>()

/** Legal settings of a resolved configuration that its user should know about, for the `warning` event. */
export function configWarnings(resolved: object): readonly ConfigWarning[] {
  return origins.get(resolved)?.warnings ?? []
}

/** For clients without events. Those who are given what somebody else has resolved leave it to him. */
export function logWarnings(resolved: ResolvedClientConfig): void {
  for (const { path, message } of configWarnings(resolved)) resolved.logger.warn(`${path}: ${message}`)
}

/**
 * The whole configuration, checked, complete and frozen; `producer` and `consumer` inherit the client's fields.
 * Throws INVALID_CONFIG or MISSING_CONFIG with every finding in `context.issues`.
 *
 * ```ts
 * const { producer } = resolveConfig({ brokers: 'a:9092,b:9092', producer: { lingerMs: 0 } })
 * ```
 */
export function resolveConfig(config: MQConfig = {}): ResolvedConfig {
  if (origins.get(config)?.form === 'whole') return config as unknown as ResolvedConfig
  const findings = new Findings()
  const { rest, producer, consumer } = splitGroups(config, findings)
  const client = collect(rest, wholeScope, '', findings)
  const root = draftOf(clientForm, client, '', findings)
  const producers = groupEntries(producer, producerForm.scope, 'producer', client, findings)
  const consumers = groupEntries(consumer, consumerForm.scope, 'consumer', client, findings)
  const producerDraft = draftOf(producerForm, producers, 'producer.', findings)
  const consumerDraft = draftOf(consumerForm, consumers, 'consumer.', findings)
  findings.throwIfAny()
  const parts = {
    producer: seal(producerDraft.finish(), producerForm, warningsBelow('producer', findings)),
    consumer: seal(consumerDraft.finish(), consumerForm, warningsBelow('consumer', findings)),
  }
  return seal(Object.assign(root.finish(), parts), 'whole', findings.warnings, {
    producer: producers,
    consumer: consumers,
  }) as ResolvedConfig
}

/** The client's own fields, checked, complete and frozen. Any resolved form has them and comes back as it is. */
export function resolveClientConfig(config: ClientConfig = {}): ResolvedClientConfig {
  if (origins.has(config)) return config as ResolvedClientConfig
  return resolveOne(config, clientForm) as ResolvedClientConfig
}

/**
 * The configuration of a producer on its own: client fields and producer fields side by side; of a resolved whole its
 * producer. Throws as `resolveConfig`.
 */
export function resolveProducerConfig(config: ProducerConfig | ResolvedConfig = {}): ResolvedProducerConfig {
  const origin = origins.get(config)?.form
  if (origin === producerForm) return config as ResolvedProducerConfig
  return origin === 'whole'
    ? (config as ResolvedConfig).producer
    : (resolveOne(config, producerForm) as ResolvedProducerConfig)
}

/**
 * The configuration of a consumer on its own: client fields and consumer fields side by side; of a resolved whole its
 * consumer. Throws as `resolveConfig`.
 */
export function resolveConsumerConfig(config: ConsumerConfig | ResolvedConfig = {}): ResolvedConsumerConfig {
  const origin = origins.get(config)?.form
  if (origin === consumerForm) return config as ResolvedConsumerConfig
  return origin === 'whole'
    ? (config as ResolvedConfig).consumer
    : (resolveOne(config, consumerForm) as ResolvedConsumerConfig)
}

/** A further producer of an instance: `own` over what `base` was given for producers and all clients. Throws as `resolveConfig`. */
export function resolveFurtherProducer(base: MQConfig | ResolvedConfig, own: ProducerConfig): ResolvedProducerConfig {
  return resolveFurther(base, own, producerForm, 'producer') as ResolvedProducerConfig
}

/** A further consumer of an instance: `own` over what `base` was given for consumers and all clients. Throws as `resolveConfig`. */
export function resolveFurtherConsumer(base: MQConfig | ResolvedConfig, own: ConsumerConfig): ResolvedConsumerConfig {
  return resolveFurther(base, own, consumerForm, 'consumer') as ResolvedConsumerConfig
}

export function defaultConfig(): ResolvedConfig {
  return resolveConfig({})
}

export function defaultProducerConfig(): ResolvedProducerConfig {
  return resolveProducerConfig({})
}

export function defaultConsumerConfig(): ResolvedConsumerConfig {
  return resolveConsumerConfig({})
}

/** The same as `resolveConfig`: what is merged is also checked. */
export function mergeWithDefaults(partial: MQConfig): ResolvedConfig {
  return resolveConfig(partial)
}

/**
 * A running producer's configuration with some fields anew, checked as a whole against all relations; `current` stays
 * as it is. Only the fields of `ProducerUpdate` may change, any other is INVALID_CONFIG, also with its present value.
 * A new codec takes its own level: `compressionLevel` was that of the old one.
 */
export function resolveProducerUpdate(
  current: ResolvedProducerConfig,
  partial: ProducerUpdate,
): ResolvedProducerConfig {
  const findings = new Findings()
  const changes = collectRoot(partial, producerForm.scope, findings)
  for (const [path, { at, value }] of changes) {
    if (CHANGING_FIELDS.includes(path)) continue
    const expected = `no change while the producer runs, which only ${CHANGING_FIELDS.join(', ')} may have`
    findings.invalid(at, shownBy(producerForm.scope.table[path] as FieldSpec, value), expected)
  }
  findings.throwIfAny()
  const entries = collect(current, producerForm.scope, '', findings)
  const codec = changes.get('compression')
  if (codec !== undefined && codec.value !== current.compression) entries.delete('compressionLevel')
  const draft = relatedDraft(producerForm, new Map([...entries, ...changes]), '', findings)
  findings.throwIfAny()
  return seal(draft.finish(), producerForm, findings.warnings) as ResolvedProducerConfig
}

function resolveOne(config: object, form: Form): object {
  const findings = new Findings()
  const draft = draftOf(form, collectRoot(config, form.scope, findings), '', findings)
  findings.throwIfAny()
  return seal(draft.finish(), form, findings.warnings)
}

function resolveFurther(base: object, own: object, form: Form, group: keyof Given): object {
  const whole = resolveConfig(base)
  const inherited = origins.get(whole)?.given?.[group] ?? []
  const findings = new Findings()
  const given = collectRoot(own, form.scope, findings)
  const draft = draftOf(form, new Map([...inherited, ...given]), '', findings)
  findings.throwIfAny()
  const told = clientWarnings(whole).map(({ path }) => path)
  const warnings = findings.warnings.filter(({ path }) => !told.includes(path))
  return seal(draft.finish(), form, warnings)
}

function collectRoot(config: unknown, scope: Scope, findings: Findings): Entries {
  if (isPlainObject(config)) return collect(config, scope, '', findings)
  findings.invalid('config', kindOf(config), 'an object')
  return new Map()
}

/** A draft of what was given, above the values of its preset. */
function draftOf(form: Form, given: Entries, at: string, findings: Findings): Draft {
  const preset = given.get('preset')
  const below = preset === undefined || preset.isBad ? [] : presetEntries(form, preset.value as PresetName)
  return relatedDraft(form, new Map([...below, ...given]), at, findings)
}

function presetEntries(form: Form, name: PresetName): Entries {
  const findings = new Findings()
  const entries: Entries = new Map()
  for (const part of form.presetParts) {
    for (const [path, entry] of collect(PRESETS[name][part], form.scope, '', findings)) {
      entries.set(path, { ...entry, isPreset: true })
    }
  }
  findings.throwIfAny()
  return entries
}

function relatedDraft(form: Form, entries: Entries, at: string, findings: Findings): Draft {
  const draft = new Draft(form.scope, entries, at, findings)
  for (const relate of form.relations) relate(draft)
  return draft
}

function warningsBelow(group: string, findings: Findings): readonly ConfigWarning[] {
  return findings.warnings.filter(({ path }) => path.startsWith(`${group}.`) || path.startsWith(`${group}Config.`))
}

/** What concerns all clients of a whole; whoever has the whole tells it once. */
export function clientWarnings(whole: ResolvedConfig): readonly ConfigWarning[] {
  return configWarnings(whole).filter(({ path }) => !/^(producer|consumer)(Config)?\./.test(path))
}

function seal(
  resolved: object,
  form: Origin['form'],
  warnings: readonly ConfigWarning[],
  given: Given | null = null,
): object {
  origins.set(resolved, { form, warnings, given })
  return Object.freeze(resolved)
}

interface Groups {
  readonly rest: object
  readonly producer: Groupish
  readonly consumer: Groupish
}
type Groupish = readonly { readonly name: string; readonly value: unknown }[]

/** Separates the groups from the client's fields; `producerConfig` is another name of `producer`. */
function splitGroups(config: unknown, findings: Findings): Groups {
  const fields = isPlainObject(config) ? fieldsOf(config) : undefined
  if (fields === undefined) findings.invalid('config', kindOf(config), 'an object')
  const { producer, producerConfig, consumer, consumerConfig, ...rest } = fields ?? {}
  const named = (name: string, value: unknown) => ({ name, value })
  return {
    rest,
    producer: [named('producer', producer), named('producerConfig', producerConfig)],
    consumer: [named('consumer', consumer), named('consumerConfig', consumerConfig)],
  }
}

function placesIn(groups: Readonly<Record<string, Scope>>): ReadonlyMap<string, string> {
  const names = Object.keys(groups).map((group) => [group, group] as const)
  const fields = Object.entries(groups).flatMap(([group, { rows }]) =>
    [...rows].map(([name, { path }]) => [name, `${group}.${path}`] as const),
  )
  return new Map([...fields, ...names])
}

/** The client's entries, then those of the group itself. */
function groupEntries(group: Groupish, scope: Scope, at: string, client: Entries, findings: Findings): Entries {
  const own: Entries = new Map()
  for (const { name, value } of group) {
    if (value === undefined) continue
    if (!isPlainObject(value)) {
      findings.invalid(name, kindOf(value), 'an object')
      continue
    }
    for (const [path, entry] of collect(value, scope, `${name}.`, findings)) {
      const known = own.get(path)
      if (known !== undefined && !isSame(known.value, entry.value)) {
        const expected = `the same value as ${known.at}, since ${name} is another name of ${at}`
        findings.invalid(entry.at, shownBy(scope.table[path] as FieldSpec, entry.value), expected)
      }
      own.set(path, entry)
    }
  }
  return new Map([...client, ...own])
}
