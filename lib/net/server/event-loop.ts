/**
 * The connections of one process: takes sockets, keeps connections, counts, and writes what was sent at the end of a turn.
 * Why apart from the server: a loop process has the same, without a port of its own.
 * Invariant: accepted = open + closed; a connection is in the table from its first callback to its last.
 */
import type { Socket } from 'node:net'
import type { MQError } from '../../errors/index.js'
import type { Clock } from '../../util/index.js'
import { addressText } from '../dial.js'
import type { TimingWheel } from '../timing-wheel.js'
import type { LoopServices } from './loop-services.js'
import { type NetMeasures, NO_MEASURES } from './measures.js'
import type { ConnectionLimits } from './options.js'
import { OutputSlabs } from './output-slab.js'
import { ServerConnection } from './server-connection.js'
import type { Connection, Handler, Protocol } from './types.js'

export interface EventLoopParts {
  readonly limits: ConnectionLimits
  readonly clock: Clock
  readonly wheel: TimingWheel
  readonly onError: (error: MQError) => void
  /** A connection came or went. */
  readonly onChange?: () => void
}

export class EventLoop implements LoopServices {
  readonly limits: ConnectionLimits
  readonly clock: Clock
  readonly wheel: TimingWheel
  readonly slabs = new OutputSlabs()
  bytesIn = 0
  bytesOut = 0
  idleClosed = 0
  #accepted = 0
  #onEmpty = () => {}
  #dirty: { flush(): void }[] = []
  readonly #connections = new Map<number, ServerConnection>()
  readonly #onError: (error: MQError) => void
  readonly #onChange: () => void

  constructor({ limits, clock, wheel, onError, onChange = () => {} }: EventLoopParts) {
    this.limits = limits
    this.clock = clock
    this.wheel = wheel
    this.#onError = onError
    this.#onChange = onChange
  }

  get connections(): number {
    return this.#connections.size
  }

  get maxFrameBytes(): number {
    return this.limits.maxFrameBytes
  }

  measures(): NetMeasures {
    const { connections, bytesIn, bytesOut, idleClosed } = this
    return { ...NO_MEASURES, connections, accepted: this.#accepted, idleClosed, bytesIn, bytesOut }
  }

  /** A socket becomes a connection; `head` is what was read of it before. The socket belongs to the connection from now on. */
  take<Ctx, In, Out>(
    socket: Socket,
    protocol: Protocol<Ctx, In, Out>,
    handler: Handler<Ctx, In, Out>,
    head: Uint8Array | null = null,
  ): Connection<Ctx, In, Out> {
    const id = ++this.#accepted
    const peer = addressText(socket.remoteAddress ?? '?', socket.remotePort ?? 0)
    if (this.limits.noDelay) socket.setNoDelay(true)
    // Inside, messages have no type: protocol and handler, which belong together, are the only ones to look at them.
    const connection = new ServerConnection(
      socket,
      this,
      id,
      peer,
      protocol as Protocol<unknown, unknown, unknown>,
      handler,
    )
    this.#connections.set(id, connection)
    this.#onChange()
    connection.begin(head)
    return connection as unknown as Connection<Ctx, In, Out>
  }

  /** Every connection answers what it owes and closes. Resolves when all are gone. */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = () => {
        if (this.#connections.size === 0) resolve()
      }
      for (const connection of [...this.#connections.values()]) connection.drain()
      this.#onEmpty()
    })
  }

  /** Ends every connection at once. */
  destroyAll(reason: MQError): void {
    for (const connection of [...this.#connections.values()]) connection.destroy(reason)
  }

  // LoopServices

  flushSoon(connection: { flush(): void }): void {
    if (this.#dirty.length === 0) process.nextTick(this.#flushDirty)
    this.#dirty.push(connection)
  }

  raise(error: MQError): void {
    this.#onError(error)
  }

  gone({ id }: { readonly id: number }): void {
    this.#connections.delete(id)
    this.#onChange()
    // Its handler hears of the end first.
    queueMicrotask(this.#onEmpty)
  }

  readonly #flushDirty = (): void => {
    const dirty = this.#dirty
    this.#dirty = []
    for (const connection of dirty) connection.flush()
  }
}
