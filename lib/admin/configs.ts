/**
 * Changes single settings and leaves the others alone (IncrementalAlterConfigs).
 * Why not through kafkajs: its alterConfigs replaces all settings of a resource; on Kafka 4.1 one call that set
 * `segment.ms` put `retention.ms` back to its default. Reading first and merging would still lose what somebody else
 * changes in between.
 * Source: features.md AD-2, KIP-339.
 */
import { MQError } from '../errors/index.js'
import { IncrementalAlterConfigs } from '../protocol/index.js'
import type { Call } from './call.js'
import { checkConfigs, checkDistinct, checkObject, checkObjects, checkTopicName } from './checks.js'
import type { ItemAnswer, ItemFailure, Requests } from './requests.js'
import type { AlterResult, ConfigAlteration, ConfigResource, ConfigResourceType } from './types.js'

export const RESOURCE_NUMBERS: Readonly<Record<ConfigResourceType, number>> = { topic: 2, broker: 4 }
const SET = 0
const DELETE = 1

export class ConfigAdmin {
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.#requests = requests
  }

  async alter(changes: readonly ConfigAlteration[], validateOnly: boolean, call: Call): Promise<AlterResult[]> {
    checkObjects('changes', changes)
    for (const change of changes) {
      checkResource(change)
      checkConfigs(`configs of ${keyOf(change)}`, change.configs, true)
    }
    checkDistinct(
      'resource',
      changes.map((change) => keyOf(change)),
    )
    const topics = changes.filter(({ type }) => type === 'topic')
    const errors = new Map<string, MQError>(await this.#alter(undefined, topics, validateOnly, call))
    for (const change of changes) {
      if (change.type !== 'broker') continue // Only the broker itself knows which of its settings may change.
      for (const [key, error] of await this.#alter(Number(change.name), [change], validateOnly, call)) {
        errors.set(key, error)
      }
    }
    return changes.map((change) => {
      const { type, name } = change
      const error = errors.get(keyOf(change))
      return error === undefined ? { type, name } : { type, name, error }
    })
  }

  #alter(
    brokerId: number | undefined,
    changes: readonly ConfigAlteration[],
    validateOnly: boolean,
    call: Call,
  ): Promise<Map<string, MQError>> {
    const byKey = new Map(changes.map((change) => [keyOf(change), change]))
    const failure: ItemFailure = {
      operation: 'INVALID_CONFIG',
      context: (key) => contextOf(byKey.get(key)),
      needs: 'ALTER_CONFIGS',
    }
    return this.#requests.settle([...byKey.keys()], call, failure, async (open) => {
      const resources = open.map((key) => resourceOf(byKey.get(key) as ConfigAlteration))
      const body = { resources, validateOnly }
      const answer = await this.#requests.broker(brokerId, IncrementalAlterConfigs, body)
      return new Map<string, ItemAnswer>(
        answer.responses.map(({ resourceType, resourceName, errorCode, errorMessage }) => {
          const type = resourceType === RESOURCE_NUMBERS.topic ? 'topic' : 'broker'
          return [keyOf({ type, name: resourceName }), { errorCode, errorMessage }]
        }),
      )
    })
  }
}

/** Throws INVALID_CONFIG, or INVALID_TOPIC. */
export function checkResource(resource: ConfigResource): void {
  checkObject('resource', resource)
  const { type, name } = resource
  if (type === 'topic') return checkTopicName(name)
  if (type === 'broker' && /^\d{1,10}$/.test(name)) return
  const text = `expected { type: 'topic', name } or { type: 'broker', name: '<broker id>' }, got ${type} '${name}'`
  throw new MQError('INVALID_CONFIG', text, { path: 'type' })
}

export function contextOf(resource: ConfigResource | undefined): { topic?: string; brokerId?: number } {
  if (resource === undefined) return {}
  return resource.type === 'topic' ? { topic: resource.name } : { brokerId: Number(resource.name) }
}

function keyOf({ type, name }: ConfigResource): string {
  return `${type} ${name}`
}

function resourceOf({ type, name, configs }: ConfigAlteration) {
  return {
    resourceType: RESOURCE_NUMBERS[type],
    resourceName: name,
    configs: Object.entries(configs).map(([key, value]) => ({
      name: key,
      configOperation: value === null ? DELETE : SET,
      value: value === null ? null : String(value),
    })),
  }
}
