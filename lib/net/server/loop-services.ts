/** What a connection needs of the event loop that it lives in. */

import type { MQError } from '../../errors/index.js'
import type { Clock } from '../../util/index.js'
import type { TimingWheel } from '../timing-wheel.js'
import type { ConnectionLimits } from './options.js'
import type { OutputSlabs } from './output-slab.js'
import type { ServerFacts } from './types.js'

export interface LoopServices extends ServerFacts {
  readonly limits: ConnectionLimits
  readonly clock: Clock
  readonly wheel: TimingWheel
  readonly slabs: OutputSlabs
  /** Bytes read and written by all connections, ever. */
  bytesIn: number
  bytesOut: number
  /** Connections closed because they were idle, ever. */
  idleClosed: number
  /** Calls `flush` at the end of this turn. */
  flushSoon(connection: { flush(): void }): void
  /** An error that ends one connection and that the server's owner hears of. */
  raise(error: MQError): void
  /** The connection is closed. */
  gone(connection: { readonly id: number }): void
}
