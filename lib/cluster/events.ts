/** What a cluster tells its owner. Listeners run outside our state changes and hurt nobody when they throw. */
import type { MQError } from '../errors/index.js'
import type { LinkPurpose } from './broker-link.js'

export interface BrokerEvent {
  readonly brokerId: number
  readonly purpose: LinkPurpose
  readonly host: string
  readonly port: number
}

export interface ClusterEvents {
  /** Something is wrong that we keep working on. */
  warning: MQError
  /** Something is wrong that will not mend by itself. */
  error: MQError
  brokerUp: BrokerEvent
  brokerDown: BrokerEvent & { readonly reason: MQError }
  /** The addresses lead to another cluster: the data path must stop (kafka.md W-28). */
  clusterIdChanged: { readonly expected: string; readonly actual: string }
}
