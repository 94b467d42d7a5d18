/**
 * Which replica a consumer should read from (KIP-392): one in its own rack, if that has what it wants and is in sync.
 * Why only the leader says so: followers serve whom they are asked by; only the leader knows who is in sync.
 * Source: KIP-392, the rack-aware replica selector of Kafka 4.1.1.
 */
import type { BrokerInfo } from './cluster-state.js'
import type { Replicas } from './replicas.js'

export const NO_REPLICA = -1

/** What is known of brokers. */
interface Racks {
  broker(brokerId: number): BrokerInfo | undefined
}

/** The broker to read from instead of this one, -1: none is better. Of several the one that has copied most. */
export function preferredReplica(
  replicas: Replicas,
  brokerId: number,
  rack: string,
  fetchOffset: number,
  racks: Racks,
): number {
  if (rack === '' || replicas.leaderId !== brokerId || racks.broker(brokerId)?.rack === rack) return NO_REPLICA
  const near = replicas.isr.filter((other) => {
    const log = replicas.logOf(other)
    const isThere = log !== undefined && log.logStart <= fetchOffset && fetchOffset <= log.logEnd
    const broker = racks.broker(other)
    return isThere && broker?.isAlive === true && broker.rack === rack
  })
  const endOf = (other: number) => replicas.logOf(other)?.logEnd ?? 0
  return near.reduce((best, other) => (best === NO_REPLICA || endOf(other) > endOf(best) ? other : best), NO_REPLICA)
}
