/** What servers count, and the series that show it (features.md part 5, `net_*`). */

export interface NetMeasures {
  /** Open now. */
  readonly connections: number
  readonly accepted: number
  /** Closed at once, because of `maxConnections`. */
  readonly rejected: number
  readonly idleClosed: number
  readonly bytesIn: number
  /** Bytes that the operating system took. */
  readonly bytesOut: number
}

/** As a room of the metrics gives them: `metrics.attachRoom('net', server)`. */
export interface NetReadings {
  readonly net_connections: number
  readonly net_accepted_total: number
  readonly net_rejected_total: number
  readonly net_idle_closed_total: number
  /** By direction. */
  readonly net_bytes_total: readonly (readonly [labels: readonly [string], value: number])[]
  readonly [series: string]: number | readonly (readonly [labels: readonly [string], value: number])[]
}

export const NO_MEASURES: NetMeasures = {
  connections: 0,
  accepted: 0,
  rejected: 0,
  idleClosed: 0,
  bytesIn: 0,
  bytesOut: 0,
}

export function sumOf(measures: readonly NetMeasures[]): NetMeasures {
  return measures.reduce(
    (sum, one) => ({
      connections: sum.connections + one.connections,
      accepted: sum.accepted + one.accepted,
      rejected: sum.rejected + one.rejected,
      idleClosed: sum.idleClosed + one.idleClosed,
      bytesIn: sum.bytesIn + one.bytesIn,
      bytesOut: sum.bytesOut + one.bytesOut,
    }),
    NO_MEASURES,
  )
}

export function netReadings(of: NetMeasures): NetReadings {
  return {
    net_connections: of.connections,
    net_accepted_total: of.accepted,
    net_rejected_total: of.rejected,
    net_idle_closed_total: of.idleClosed,
    net_bytes_total: [
      [['in'], of.bytesIn],
      [['out'], of.bytesOut],
    ],
  }
}
