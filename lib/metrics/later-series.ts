/**
 * Series of rooms that bring their source later: queue, net, gateway (features.md part 5). Their names, types and labels
 * are settled here; each room brings its source (`attachRoom`), and until one is attached they are not exposed: a zero
 * would claim that something is measured.
 */
import { LATENCY_SECONDS } from '../util/index.js'
import { counter, each, gauge, histogram, type SeriesRow } from './series.js'

const QUEUE = { room: 'queue', labels: ['queue'] } as const
const NET = { room: 'net' } as const
const GATEWAY = { room: 'gateway' } as const
/** The room names its readings itself. */
const BY_ROOM = {}
const DIRECTIONS = each('in', 'out')

export const LATER_SERIES: readonly SeriesRow[] = [
  gauge('queue_size', 'Items waiting in a queue.', BY_ROOM, QUEUE),
  counter('queue_enqueued_total', 'Items accepted by a queue.', BY_ROOM, QUEUE),
  counter('queue_sent_total', 'Items that the sender function took.', BY_ROOM, QUEUE),
  counter('queue_errors_total', 'Attempts of the sender function that failed.', BY_ROOM, QUEUE),
  counter('queue_batches_sent_total', 'Batches that the sender function took.', BY_ROOM, QUEUE),
  counter('queue_dropped_total', 'Items dropped at a limit.', BY_ROOM, QUEUE),
  gauge('queue_wal_bytes', 'Bytes of a queue in its log.', BY_ROOM, QUEUE),
  histogram('queue_send_latency', 'Seconds of one call of the sender function.', LATENCY_SECONDS, BY_ROOM, QUEUE),

  gauge('net_connections', 'Connections open on servers.', BY_ROOM, NET),
  counter('net_accepted_total', 'Connections accepted.', BY_ROOM, NET),
  counter('net_rejected_total', 'Connections refused at the maximum.', BY_ROOM, NET),
  counter('net_idle_closed_total', 'Connections closed because they were idle.', BY_ROOM, NET),
  counter('net_bytes_total', 'Bytes, by direction.', BY_ROOM, { ...NET, labels: ['direction'], zeros: DIRECTIONS }),

  gauge('gateway_clients', 'Clients of the gateway, by transport.', BY_ROOM, { ...GATEWAY, labels: ['transport'] }),
  counter('gateway_messages_total', 'Messages of the gateway, by direction.', BY_ROOM, {
    ...GATEWAY,
    labels: ['direction'],
    zeros: DIRECTIONS,
  }),
  counter('gateway_dropped_total', 'Messages dropped for slow clients.', BY_ROOM, GATEWAY),
]
