/** What a gateway counts, and the series that show it (features.md part 5, `gateway_*`). */
import type { FeedMeasures } from './feed/types.js'

export interface GatewayMeasures {
  /** Connected now. */
  readonly clients: { readonly websocket: number; readonly tcp: number }
  /** Frames of clients, and to clients, records included. */
  readonly messagesIn: number
  readonly messagesOut: number
  /** Records skipped for slow clients. */
  readonly dropped: number
  /** Publishes whose fate is not known yet. */
  readonly unacknowledged: number
  readonly feeds: FeedMeasures
}

type Labelled = readonly (readonly [labels: readonly [string], value: number])[]

/** As a room of the metrics gives them: `metrics.attachRoom('gateway', gateway)`. */
export interface GatewayReadings {
  readonly gateway_clients: Labelled
  readonly gateway_messages_total: Labelled
  readonly gateway_dropped_total: number
  readonly [series: string]: number | Labelled
}

export function gatewayReadings({ clients, messagesIn, messagesOut, dropped }: GatewayMeasures): GatewayReadings {
  return {
    gateway_clients: [
      [['websocket'], clients.websocket],
      [['tcp'], clients.tcp],
    ],
    gateway_messages_total: [
      [['in'], messagesIn],
      [['out'], messagesOut],
    ],
    gateway_dropped_total: dropped,
  }
}
