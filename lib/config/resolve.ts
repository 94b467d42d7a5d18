/**
 * From what a caller passed to a frozen, complete configuration.
 * Steps: collect along the table (aliases, ranges, unknown fields), inherit, draft with defaults, relations, throw
 * every finding at once, freeze. Invariant: the input is never changed; a resolved object resolves to itself.
 * Presets go between defaults and the caller's entries when they come. Source: features.md CF-1..CF-3.
 */
import { clientFields } from './client-fields.js'
import type { ResolvedClientConfig } from './client-types.js'
import { consumerFields } from './consumer-fields.js'
import type { ResolvedConsumerConfig } from './consumer-types.js'
import { Draft } from './draft.js'
import type { ClientConfig, ConsumerConfig, MQConfig, ProducerConfig, ResolvedConfig } from './input-types.js'
import { type ConfigWarning, Findings } from './issues.js'
import { producerFields } from './producer-fields.js'
import type { ResolvedProducerConfig } from './producer-types.js'
import { relateClient, relateConsumer, relateProducer } from './relations.js'
import { collect, type Entries, isPlainObject, type Scope, scopeOf } from './scope.js'

type Relate = (draft: Draft) => void

const clientScope = scopeOf(clientFields)
const producerScope = scopeOf(producerFields, clientFields)
const consumerScope = scopeOf(consumerFields, clientFields)

/** What resolving an object said besides its result; also marks objects that are resolved already. */
const warningsOf = new WeakMap<object, readonly ConfigWarning[]>()

/** Legal settings of a resolved configuration that its user should know about, for the `warning` event. */
export function configWarnings(resolved: object): readonly ConfigWarning[] {
  return warningsOf.get(resolved) ?? []
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
  if (warningsOf.has(config)) return config as unknown as ResolvedConfig
  const findings = new Findings()
  const { rest, producer, consumer } = splitGroups(config, findings)
  const client = collect(rest, clientScope, '', findings)
  const root = draftOf(clientScope, client, '', findings, [relateClient])
  const producers = groupEntries(producer, producerScope, 'producer', client, findings)
  const consumers = groupEntries(consumer, consumerScope, 'consumer', client, findings)
  const producerDraft = draftOf(producerScope, producers, 'producer.', findings, [relateClient, relateProducer])
  const consumerDraft = draftOf(consumerScope, consumers, 'consumer.', findings, [relateClient, relateConsumer])
  findings.throwIfAny()
  const parts = {
    producer: seal(producerDraft.finish(), warningsBelow('producer', findings)),
    consumer: seal(consumerDraft.finish(), warningsBelow('consumer', findings)),
  }
  return seal({ ...root.finish(), ...parts }, findings.warnings) as ResolvedConfig
}

/** The client's own fields, checked, complete and frozen. */
export function resolveClientConfig(config: ClientConfig = {}): ResolvedClientConfig {
  return resolveOne(config, clientScope, [relateClient]) as ResolvedClientConfig
}

/** The configuration of a producer on its own: client fields and producer fields side by side. Throws as `resolveConfig`. */
export function resolveProducerConfig(config: ProducerConfig = {}): ResolvedProducerConfig {
  return resolveOne(config, producerScope, [relateClient, relateProducer]) as ResolvedProducerConfig
}

/** The configuration of a consumer on its own: client fields and consumer fields side by side. Throws as `resolveConfig`. */
export function resolveConsumerConfig(config: ConsumerConfig = {}): ResolvedConsumerConfig {
  return resolveOne(config, consumerScope, [relateClient, relateConsumer]) as ResolvedConsumerConfig
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

function resolveOne(config: object, scope: Scope, relations: readonly Relate[]): object {
  if (warningsOf.has(config)) return config
  const findings = new Findings()
  const draft = draftOf(scope, collectRoot(config, scope, findings), '', findings, relations)
  findings.throwIfAny()
  return seal(draft.finish(), findings.warnings)
}

function collectRoot(config: unknown, scope: Scope, findings: Findings): Entries {
  if (isPlainObject(config)) return collect(config, scope, '', findings)
  findings.invalid('config', config, 'an object')
  return new Map()
}

function draftOf(scope: Scope, entries: Entries, at: string, findings: Findings, relations: readonly Relate[]): Draft {
  const draft = new Draft(scope, entries, at, findings)
  for (const relate of relations) relate(draft)
  return draft
}

function warningsBelow(group: string, findings: Findings): readonly ConfigWarning[] {
  return findings.warnings.filter(({ path }) => path.startsWith(`${group}.`) || path.startsWith(`${group}Config.`))
}

function seal(resolved: object, warnings: readonly ConfigWarning[]): object {
  warningsOf.set(resolved, warnings)
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
  if (!isPlainObject(config)) {
    findings.invalid('config', config, 'an object')
    return { rest: {}, producer: [], consumer: [] }
  }
  const { producer, producerConfig, consumer, consumerConfig, ...rest } = config
  const named = (name: string, value: unknown) => ({ name, value })
  return {
    rest,
    producer: [named('producer', producer), named('producerConfig', producerConfig)],
    consumer: [named('consumer', consumer), named('consumerConfig', consumerConfig)],
  }
}

/** The client's entries, then those of the group itself. */
function groupEntries(group: Groupish, scope: Scope, at: string, client: Entries, findings: Findings): Entries {
  const entries: Entries = new Map(client)
  const own: Entries = new Map()
  for (const { name, value } of group) {
    if (value === undefined) continue
    if (!isPlainObject(value)) {
      findings.invalid(name, value, 'an object')
      continue
    }
    for (const [path, entry] of collect(value, scope, `${name}.`, findings)) {
      const known = own.get(path)
      if (known !== undefined && !Object.is(known.value, entry.value)) {
        findings.invalid(entry.at, entry.value, `the same value as ${known.at}, since ${name} is another name of ${at}`)
      }
      own.set(path, entry)
    }
  }
  for (const [path, entry] of own) entries.set(path, entry)
  return entries
}
