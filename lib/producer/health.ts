/**
 * Why a producer cannot deliver at the moment, although it goes on accepting records until its memory is full (PR-19).
 * Looked up when somebody asks, never kept: what has mended by itself is not reported any more.
 */
import { MQError } from '../errors/index.js'
import type { Lane } from './lane.js'
import type { Sender } from './sender.js'

export interface HealthSources {
  /** Set when nothing can be sent any more. */
  readonly end: MQError | null
  /** Why no broker told about the cluster the last time it was asked. */
  readonly metadataError: MQError | null
  readonly senders: Iterable<Sender>
  readonly lanes: readonly Lane[]
}

/** The first reason that is found, from the widest to the narrowest; null: nothing is in the way. */
export function troubleOf({ end, metadataError, senders, lanes }: HealthSources): MQError | null {
  return end ?? openCircuit(senders, lanes) ?? unreachable(metadataError) ?? lostBroker(lanes) ?? noLeader(lanes)
}

/** A half-open one counts only where records wait for it: without any it is not tried, and may be well. */
function openCircuit(senders: Iterable<Sender>, lanes: readonly Lane[]): MQError | null {
  const isTrouble = (sender: Sender) => {
    if (sender.circuitState !== 'halfOpen') return sender.circuitState === 'open'
    return lanes.some((lane) => lane.home === sender && !lane.isIdle)
  }
  const brokerIds = [...senders].filter(isTrouble).map(({ brokerId }) => brokerId)
  if (brokerIds.length === 0) return null
  const text = `the circuit of broker ${brokerIds.join(', ')} is not closed: its records wait until it answers again`
  return new MQError('CONNECTION_FAILED', text, { reason: 'CIRCUIT_OPEN', brokerIds })
}

function unreachable(cause: MQError | null): MQError | null {
  if (cause === null) return null
  const text = `no broker tells about the cluster: ${cause.message}; records wait in memory`
  return new MQError('CONNECTION_FAILED', text, {}, { cause })
}

/** Only a broker that records wait for: one that leads nothing of ours may stay away. */
function lostBroker(lanes: readonly Lane[]): MQError | null {
  for (const lane of lanes) {
    const cause = lane.isIdle ? null : (lane.home?.lostConnection ?? null)
    if (cause === null) continue
    const { topic, partition } = lane
    const text = `no connection to broker ${lane.leaderId}, which leads ${topic}-${partition}: ${cause.message}`
    return new MQError('CONNECTION_FAILED', text, { brokerId: lane.leaderId, topic, partition }, { cause })
  }
  return null
}

function noLeader(lanes: readonly Lane[]): MQError | null {
  const lane = lanes.find((one) => !one.isIdle && one.home === null)
  if (lane === undefined) return null
  const { topic, partition } = lane
  const text = `${topic}-${partition} has no leader: its records wait until a broker leads it`
  return new MQError('CONNECTION_FAILED', text, { topic, partition })
}
