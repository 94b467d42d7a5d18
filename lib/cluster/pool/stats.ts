/**
 * Sums of connection figures over several clients.
 * Why a remembered sum: counters of a client that was closed and taken out must not fall.
 */
import { type ConnectionStats, NO_CONNECTIONS } from '../links.js'

/** Anybody who has sockets: a producer, a consumer, a cluster. */
export interface ConnectionSource {
  connectionStats(): ConnectionStats
}

export class IncludedConnections {
  readonly #sources = new Set<ConnectionSource>()
  #gone: ConnectionStats = NO_CONNECTIONS // totals of sources that were taken out

  /** Returns the function that takes the source out; what it has counted until then stays counted. */
  include(source: ConnectionSource): () => void {
    this.#sources.add(source)
    return () => {
      if (!this.#sources.delete(source)) return
      const last = source.connectionStats()
      // Sockets that it still has are no longer seen here, so for us they are closed.
      const connectionsClosed = last.connectionsClosed + last.totalConnections
      const gone = { ...last, totalConnections: 0, activeConnections: 0, idleConnections: 0, connectionsClosed }
      this.#gone = addStats(this.#gone, gone)
    }
  }

  sum(): ConnectionStats {
    return [...this.#sources].reduce((sum, source) => addStats(sum, source.connectionStats()), this.#gone)
  }
}

export function addStats(one: ConnectionStats, other: ConnectionStats): ConnectionStats {
  return {
    totalConnections: one.totalConnections + other.totalConnections,
    activeConnections: one.activeConnections + other.activeConnections,
    idleConnections: one.idleConnections + other.idleConnections,
    connectionsCreated: one.connectionsCreated + other.connectionsCreated,
    connectionsClosed: one.connectionsClosed + other.connectionsClosed,
    connectionErrors: one.connectionErrors + other.connectionErrors,
    throttledMs: one.throttledMs + other.throttledMs,
    trailingBytes: one.trailingBytes + other.trailingBytes,
  }
}
