/** The series of connections to brokers, and of errors; the latter from every source that tells codes. */
import { LATENCY_SECONDS } from '../util/index.js'
import { counter, each, gauge, histogram, type LabelledReading, type SeriesRow } from './series.js'

export const CONNECTION_SERIES: readonly SeriesRow[] = [
  gauge(
    'connections',
    'Connections to brokers, by state.',
    {
      connections: (of) => [
        [['total'], of.totalConnections],
        [['active'], of.activeConnections],
        [['idle'], of.idleConnections],
        [['max'], of.maxConnections],
      ],
    },
    { labels: ['state'], zeros: each('total', 'active', 'idle', 'max') },
  ),
  counter('connections_created_total', 'Connections opened.', { connections: (of) => of.connectionsCreated }),
  counter('connections_closed_total', 'Connections closed.', { connections: (of) => of.connectionsClosed }),
  counter('connection_errors_total', 'Connections that failed, or failed to open.', {
    connections: (of) => of.connectionErrors,
  }),
  histogram('ping_seconds', 'Seconds of a round trip to a broker.', LATENCY_SECONDS, {
    connections: (of) => of.pingSeconds,
  }),
  counter(
    'errors_total',
    'Errors told to callers, callbacks and listeners, by component and code.',
    { producer: (of) => coded('producer', of.errors), consumer: (of) => coded('consumer', of.errors) },
    { labels: ['component', 'code'] },
  ),
]

/** The row that `countError` adds to. */
export const ERRORS_ROW = CONNECTION_SERIES.at(-1) as SeriesRow

function coded(component: string, errors: ReadonlyMap<string, number>): LabelledReading[] {
  return [...errors].map(([code, count]) => [[component, code], count])
}
