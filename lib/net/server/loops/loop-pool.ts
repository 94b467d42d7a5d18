/**
 * The loop processes of a server: begins them, hands connections to them, begins a dead one again, ends them all. NT-2.
 * Why the server accepts for all: one port on every system, and the balance is ours.
 * Invariant: one process per index at most; after `stop` none is left, and none begins.
 */
import type { Socket } from 'node:net'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MQError } from '../../../errors/index.js'
import { backoffMs, systemRandom, type TimerHandle } from '../../../util/index.js'
import { type NetMeasures, NO_MEASURES, sumOf } from '../measures.js'
import type { ConnectionLimits, ResolvedServerOptions } from '../options.js'
import { LoopChild } from './loop-child.js'
import type { ToLoop } from './messages.js'

/** Of a loop that died: first pause and longest pause, in milliseconds; a loop that lived so long begins anew with them. */
const BACKOFF = { baseMs: 100, maxMs: 10_000, forgetMs: 30_000 } as const

type PoolOptions = Pick<
  ResolvedServerOptions,
  'numLoops' | 'handlerModule' | 'loadBalance' | 'loopArguments' | 'tls' | 'clock'
> &
  ConnectionLimits

interface Place {
  child: LoopChild | null
  /** Deaths in a row. */
  deaths: number
  bornAtMs: number
  restart: TimerHandle | null
}

export class LoopPool {
  readonly #options: PoolOptions
  readonly #begin: ToLoop
  readonly #onError: (error: MQError) => void
  readonly #places: Place[]
  /** Of processes that are gone. */
  #past: NetMeasures = NO_MEASURES
  #isStopping = false

  constructor(options: PoolOptions, needsProtocol: boolean, onError: (error: MQError) => void) {
    this.#options = options
    this.#onError = onError
    const { tls } = options
    this.#begin = {
      kind: 'begin',
      handlerModule: urlOf(options.handlerModule),
      limits: limitsOf(options),
      tls,
      needsProtocol,
    }
    this.#places = Array.from({ length: options.numLoops }, () => ({
      child: null,
      deaths: 0,
      bornAtMs: 0,
      restart: null,
    }))
  }

  get connections(): number {
    return this.#places.reduce((sum, { child }) => sum + (child?.connections ?? 0), 0)
  }

  /** Process ids by loop; 0 = it is gone and will be begun again. */
  get pids(): readonly number[] {
    return this.#places.map(({ child }) => child?.pid ?? 0)
  }

  measures(): NetMeasures {
    const present = this.#places.flatMap(({ child }) => (child === null ? [] : [child.measures]))
    return sumOf([this.#past, ...present])
  }

  /** Resolves when every loop can take connections. Rejects with INVALID_CONFIG when one cannot begin. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map((_, index) => this.#born(index)))
  }

  handOver(socket: Socket): void {
    try {
      this.#chosen().handOver(socket)
    } catch (error) {
      socket.destroy()
      this.#onError(notBalanced(error))
    }
  }

  /** Every loop answers what it owes and closes, and ends; whatever is left then is killed. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopping = true
    for (const place of this.#places) place.restart?.cancel()
    await Promise.all(this.#places.map(({ child }) => child?.stop(timeoutMs)))
  }

  #chosen(): LoopChild {
    const ready = this.#places.flatMap(({ child }) => (child?.isReady ? [child] : []))
    if (ready.length === 0) throw new MQError('CONNECTION_FAILED', 'no loop is alive: the connection was closed')
    const index = this.#options.loadBalance(ready)
    const chosen = ready.find((loop) => loop.index === index)
    if (chosen !== undefined) return chosen
    throw new MQError('INVALID_CONFIG', `loadBalance gave ${index}, which is no loop that it was shown`, {
      path: 'loadBalance',
    })
  }

  /** Rejects when the process ends before it is ready. */
  #born(index: number): Promise<void> {
    const place = this.#places[index] as Place
    place.bornAtMs = this.#options.clock.monotonicMs()
    return new Promise((resolve, reject) => {
      let isReady = false
      const onReady = () => {
        isReady = true
        resolve()
      }
      const onEnd = (why: string) => {
        if (!isReady) reject(cannotBegin(index, why))
        else if (!this.#isStopping) this.#died(index, why)
        this.#bury(place)
      }
      place.child = new LoopChild(index, this.#options.loopArguments, this.#begin, {
        onReady,
        onError: this.#onError,
        onEnd,
      })
    })
  }

  /** Its counters stay, its connections are gone. */
  #bury(place: Place): void {
    if (place.child === null) return
    this.#past = { ...sumOf([this.#past, place.child.measures]), connections: 0 }
    place.child = null
  }

  #died(index: number, why: string): void {
    const place = this.#places[index] as Place
    const { child } = place
    if (this.#options.clock.monotonicMs() - place.bornAtMs > BACKOFF.forgetMs) place.deaths = 0
    const pauseMs = backoffMs(place.deaths++, BACKOFF.baseMs, BACKOFF.maxMs, systemRandom)
    const connections = child?.connections ?? 0
    const text = `loop ${index} (pid ${child?.pid}) died (${why}) with ${connections} connections; it is begun again in ${pauseMs} ms`
    place.restart = this.#options.clock.setTimer(() => this.#rebirth(index), pauseMs)
    this.#onError(new MQError('CONNECTION_CLOSED', text, { loop: index, pid: child?.pid, connections, pauseMs, why }))
  }

  #rebirth(index: number): void {
    if (this.#isStopping) return
    this.#born(index).catch((error: MQError) => {
      if (this.#isStopping) return
      this.#died(index, error.message)
    })
  }
}

function limitsOf(options: ConnectionLimits): ConnectionLimits {
  const { writeBufferBytes, maxFrameBytes, maxPendingMessages, idleMs, frameTimeoutMs, closeTimeoutMs, noDelay } =
    options
  return { writeBufferBytes, maxFrameBytes, maxPendingMessages, idleMs, frameTimeoutMs, closeTimeoutMs, noDelay }
}

function urlOf(module: string | null): string {
  if (module === null) return ''
  return module.startsWith('file:') ? module : pathToFileURL(resolve(module)).href
}

function cannotBegin(loop: number, why: string): MQError {
  return new MQError('INVALID_CONFIG', `handlerModule: loop ${loop} cannot begin: ${why}`, {
    path: 'handlerModule',
    loop,
  })
}

function notBalanced(error: unknown): MQError {
  if (error instanceof MQError) return error
  const why = error instanceof Error ? error.message : String(error)
  return new MQError('INVALID_CONFIG', `loadBalance failed: ${why}`, { path: 'loadBalance' }, { cause: error })
}
