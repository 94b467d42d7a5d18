/**
 * Which versions and features one connection's broker has.
 * Why per connection: clusters are mixed and are upgraded while we run; a feature counts only at the broker asked.
 * Source: kafka.md W-18, W-21.
 */
import type { Api, ApiVersions, DecodedResponseOf } from '../protocol/index.js'

export interface FeatureRange {
  readonly min: number
  readonly max: number
}

export class ApiRanges {
  readonly #ranges = new Map<number, FeatureRange>()
  readonly supportedFeatures: ReadonlyMap<string, FeatureRange>
  readonly finalizedFeatures: ReadonlyMap<string, FeatureRange>
  /** -1: the broker did not say. */
  readonly finalizedFeaturesEpoch: number

  constructor(answer: DecodedResponseOf<typeof ApiVersions>) {
    for (const { apiKey, minVersion, maxVersion } of answer.apiKeys) {
      this.#ranges.set(apiKey, { min: minVersion, max: maxVersion })
    }
    this.supportedFeatures = new Map(
      answer.supportedFeatures.map(({ name, minVersion, maxVersion }) => [name, { min: minVersion, max: maxVersion }]),
    )
    this.finalizedFeatures = new Map(
      answer.finalizedFeatures.map((one) => [one.name, { min: one.minVersionLevel, max: one.maxVersionLevel }]),
    )
    this.finalizedFeaturesEpoch = answer.finalizedFeaturesEpoch
  }

  /** The highest version that both sides speak, at most `maxVersion`; -1: none. */
  versionOf(api: Api, maxVersion = Number.POSITIVE_INFINITY): number {
    const ours = api.client
    const theirs = this.#ranges.get(api.key)
    if (ours === undefined || theirs === undefined) return -1
    const version = Math.min(ours.max, theirs.max, maxVersion)
    return version < Math.max(ours.min, theirs.min) ? -1 : version
  }
}
