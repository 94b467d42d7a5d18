/**
 * What arrived: the requests, for tests to look at and to wait for.
 * Why waiting belongs here: a test that waits for a fact needs no sleep.
 * Invariant: bounded by count and by frame bytes, oldest out first; totals count everything that ever arrived.
 */
import { Deque, deferred } from '../util/index.js'

const KEPT_REQUESTS = 10_000
/** Bytes of request frames that kept bodies may pin (record batches are views of their frame). */
const KEPT_BYTES = 16 * 1024 * 1024

export interface ArrivedRequest {
  readonly api: string
  /** Id of the broker that was asked. */
  readonly node: number
  readonly version: number
  readonly correlationId: number
  readonly clientId: string | null
  /** As decoded; the fields are those of the api's schema. */
  readonly body: unknown
  /** Wall time of the broker's clock. */
  readonly atMs: number
  /** Connections are numbered over all brokers. */
  readonly connection: number
  /** Who asks: `alice` after SASL, `CN=alice` by certificate, else `ANONYMOUS`; null before SASL has told. */
  readonly principal: string | null
  readonly bytes: number
}

export interface RequestFilter {
  readonly api?: string
  readonly node?: number
  readonly clientId?: string
  readonly where?: (request: ArrivedRequest) => boolean
}

interface Waiter {
  readonly isMet: () => boolean
  readonly resolve: () => void
}

export class Journal {
  readonly #kept = new Deque<ArrivedRequest>()
  readonly #totals = new Map<string, number>()
  readonly #waiters = new Set<Waiter>()
  #bytes = 0

  note(request: ArrivedRequest): void {
    this.#kept.pushBack(request)
    this.#bytes += request.bytes
    while (this.#kept.size > KEPT_REQUESTS || (this.#bytes > KEPT_BYTES && this.#kept.size > 1)) this.#forgetOldest()
    this.#totals.set(request.api, (this.#totals.get(request.api) ?? 0) + 1)
    this.check()
  }

  /** Kept requests that fit, oldest first. */
  list(filter: RequestFilter = {}): ArrivedRequest[] {
    return [...this.#kept].filter((request) => fits(filter, request))
  }

  /** How many arrived that fit; exact for a filter by api alone, among the kept ones otherwise. */
  count(filter: RequestFilter): number {
    const { api, node, clientId, where } = filter
    if (node === undefined && clientId === undefined && where === undefined) {
      if (api !== undefined) return this.#totals.get(api) ?? 0
      return [...this.#totals.values()].reduce((sum, count) => sum + count, 0)
    }
    return this.list(filter).length
  }

  /** Settles when `isMet` is true; asked again whenever something happened. */
  async until(isMet: () => boolean): Promise<void> {
    if (isMet()) return
    const { promise, resolve } = deferred<void>()
    this.#waiters.add({ isMet, resolve })
    await promise
  }

  /** Something happened that waiters may wait for. */
  check(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.isMet()) continue
      this.#waiters.delete(waiter)
      waiter.resolve()
    }
  }

  clear(): void {
    this.#kept.clear()
    this.#totals.clear()
    this.#bytes = 0
  }

  #forgetOldest(): void {
    this.#bytes -= this.#kept.popFront()?.bytes ?? 0
  }
}

function fits(filter: RequestFilter, request: ArrivedRequest): boolean {
  return (
    (filter.api === undefined || filter.api === request.api) &&
    (filter.node === undefined || filter.node === request.node) &&
    (filter.clientId === undefined || filter.clientId === request.clientId) &&
    (filter.where === undefined || filter.where(request))
  )
}
