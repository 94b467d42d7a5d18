/**
 * A loop process: connections that the server accepted and handed over live here. NT-2, trap 22.
 * Why a process: a socket cannot move between threads. It takes orders by IPC, and ends when nobody could give them any more.
 * Invariant: what it counted is told before it ends.
 */
import type { Socket } from 'node:net'
import { MQError } from '../../../errors/index.js'
import { systemClock } from '../../../util/index.js'
import { Acceptor } from '../../acceptor.js'
import { TimingWheel } from '../../timing-wheel.js'
import { EventLoop } from '../event-loop.js'
import { READ_AHEAD_BYTES } from '../options.js'
import { rawProtocol } from '../protocols/raw.js'
import type { Handler, Protocol } from '../types.js'
import type { FromLoop, ToLoop } from './messages.js'

/** How often bytes are told when nothing else is. Milliseconds. */
const REPORT_MS = 200

interface HandlerModule {
  readonly default?: Handler<unknown, unknown, unknown>
  readonly protocol?: Protocol<unknown, unknown, unknown>
}

type Begin = Extract<ToLoop, { kind: 'begin' }>

class LoopProcess {
  readonly #loop: EventLoop
  readonly #acceptor: Acceptor
  readonly #wheel: TimingWheel
  #gone = 0
  #told = ''
  #isTelling = false

  constructor(
    { limits, tls }: Begin,
    handler: Handler<unknown, unknown, unknown>,
    protocol: Protocol<unknown, unknown, unknown>,
  ) {
    const onError = (error: MQError) => tell({ kind: 'error', error: error.toJSON() as never })
    this.#wheel = new TimingWheel({
      onError: (error) => {
        throw error // A timer of ours failed: the process ends, and the server hears of it.
      },
    })
    this.#loop = new EventLoop({
      limits,
      clock: systemClock,
      wheel: this.#wheel,
      onError,
      onChange: () => this.#tellSoon(),
    })
    // Never listens: connections are put into it. With TLS the handshake is made here.
    const common = { highWaterMark: READ_AHEAD_BYTES, noDelay: limits.noDelay, allowHalfOpen: true }
    this.#acceptor = new Acceptor({ ...common, ...(tls === null ? {} : { tls }) }, (socket) => {
      this.#loop.take(socket, protocol, handler)
    })
    setInterval(() => this.#tell(), REPORT_MS).unref()
  }

  /** Undefined: it ended on its way. */
  connection(socket: Socket | undefined): void {
    const gone = () => {
      this.#gone++
      this.#tellSoon()
    }
    if (socket === undefined || socket.destroyed) {
      gone()
      return
    }
    socket.on('close', gone)
    socket.allowHalfOpen = true
    this.#acceptor.inject(socket)
  }

  async stop(timeoutMs: number): Promise<void> {
    const reason = new MQError('CONNECTION_CLOSED', 'the server was stopped')
    const limit = setTimeout(() => this.#loop.destroyAll(reason), timeoutMs)
    void this.#acceptor.close()
    await this.#loop.drain()
    clearTimeout(limit)
    // The handler's module may hold timers and files: they do not hold us.
    tell({ kind: 'report', gone: this.#gone, measures: this.#loop.measures() }, () => process.exit(0))
  }

  end(): void {
    this.#loop.destroyAll(new MQError('CONNECTION_CLOSED', 'the server of this loop is gone'))
    setImmediate(() => process.exit(1))
  }

  /** Once for what changed in this turn. */
  #tellSoon(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    setImmediate(() => {
      this.#isTelling = false
      this.#tell()
    })
  }

  #tell(): void {
    const report: FromLoop = { kind: 'report', gone: this.#gone, measures: this.#loop.measures() }
    const text = JSON.stringify(report)
    if (text === this.#told) return
    this.#told = text
    tell(report)
  }
}

let running: LoopProcess | null = null

process.on('message', (message: ToLoop, socket: Socket | undefined) => {
  if (message.kind === 'begin') void begin(message)
  else if (message.kind === 'connection') running?.connection(socket)
  else if (running === null) process.exit(0)
  else void running.stop(message.timeoutMs)
})
process.on('disconnect', () => {
  if (running === null) process.exit(1)
  else running.end()
})
// The server is told by the terminal, too, and says how to end.
process.on('SIGINT', () => {})

async function begin(message: Begin): Promise<void> {
  try {
    const module = (await import(message.handlerModule)) as HandlerModule
    if (typeof module.default?.onMessage !== 'function')
      throw new Error('its default export is no handler: it has no onMessage')
    if (message.needsProtocol && module.protocol === undefined)
      throw new Error('it exports no protocol, and the server was given one: an object cannot be sent to a process')
    const raw = rawProtocol() as unknown as Protocol<unknown, unknown, unknown>
    running = new LoopProcess(message, module.default, module.protocol ?? raw)
    tell({ kind: 'ready' })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    tell({ kind: 'refused', why }, () => process.exit(1))
  }
}

function tell(message: FromLoop, onSent?: () => void): void {
  // The channel may be gone with the server: `disconnect` ends us then.
  if (process.connected) process.send?.(message, undefined, {}, () => onSent?.())
  else onSent?.()
}
