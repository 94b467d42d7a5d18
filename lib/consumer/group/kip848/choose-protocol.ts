/**
 * Which protocol a group is joined with, and whether this cluster has KIP-848 at all.
 * Why two conditions: Kafka 3.7 to 3.9 have the heartbeat in a version without member ids of the client, and a cluster
 * of newer brokers may not have switched the feature on.
 * Source: kafka.md 1.4, 5.5; features.md CO-10.
 */
import type { ResolvedConsumerConfig } from '../../../config/index.js'
import { MQError } from '../../../errors/index.js'
import { ApiVersions, ConsumerGroupHeartbeat } from '../../../protocol/index.js'
import type { GroupCluster } from '../../ports.js'

const GROUP_VERSION = 'group.version'
/** Kafka refuses an unnamed client. */
const SOFTWARE = { clientSoftwareName: 'tandem-mq', clientSoftwareVersion: '0.1.0' }

/**
 * What `groupProtocol` says; 'auto' asks the coordinator. Rejects when it cannot be found or asked.
 * A group of classic members takes members of both kinds, as long as the brokers allow the change (they do by default).
 */
export async function chooseProtocol(
  cluster: GroupCluster,
  { groupId = '', groupProtocol }: ResolvedConsumerConfig,
  options: { readonly deadlineMs?: number } = {},
): Promise<'classic' | 'consumer'> {
  if (groupProtocol !== 'auto') return groupProtocol
  const brokerId = await cluster.coordinator(groupId, options)
  const { apiKeys, finalizedFeatures } = await cluster.request(ApiVersions, SOFTWARE, { ...options, brokerId })
  const heartbeat = apiKeys.find(({ apiKey }) => apiKey === ConsumerGroupHeartbeat.key)
  const feature = finalizedFeatures.find(({ name }) => name === GROUP_VERSION)
  const wanted = ConsumerGroupHeartbeat.client?.min ?? 0
  return (heartbeat?.maxVersion ?? -1) >= wanted && (feature?.maxVersionLevel ?? 0) >= 1 ? 'consumer' : 'classic'
}

/**
 * The version is checked by whoever sends the heartbeat, and where nobody has told of features yet the broker's answer
 * to it decides (35). Throws CONNECTION_FAILED, reason UNSUPPORTED_VERSION.
 */
export function ensureFeature(cluster: GroupCluster, groupId: string): void {
  const level = cluster.finalizedFeature(GROUP_VERSION)
  if (level !== 0) return
  const text =
    `groupProtocol 'consumer' needs a cluster with ${GROUP_VERSION} 1 (Kafka 4.0 and later), this one has ${level}: ` +
    "use 'classic', or 'auto'"
  const context = { reason: 'UNSUPPORTED_VERSION', groupId, level } as const
  throw new MQError('CONNECTION_FAILED', text, context, { retryable: false })
}
