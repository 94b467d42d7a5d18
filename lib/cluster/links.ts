/**
 * All links of a client: one per broker and purpose, made on demand, kept for life.
 * Why kept: a broker that leaves and returns finds its owner's callbacks, back-off and demand where they were.
 * Invariant: created - closed = sockets open now. Source: features.md CL-1, CL-3.
 */
import type { MQError } from '../errors/index.js'
import type { Clock, Emitter, Logger, RandomSource } from '../util/index.js'
import { BrokerLink, type LinkHost, type LinkPurpose } from './broker-link.js'
import type { Connection } from './connection.js'
import type { ClusterEvents } from './events.js'
import { type BrokerAddress, closedHere } from './failures.js'
import type { MetadataCache } from './metadata-cache.js'
import type { Dial } from './open-connection.js'
import type { ClusterSettings } from './settings.js'

export interface ConnectionStats {
  readonly totalConnections: number
  /** With a request outstanding. */
  readonly activeConnections: number
  readonly idleConnections: number
  readonly connectionsCreated: number
  readonly connectionsClosed: number
  readonly connectionErrors: number
  /** Milliseconds that brokers asked us to be silent. */
  readonly throttledMs: number
  /** Bytes behind complete answers, ignored. */
  readonly trailingBytes: number
}

/** Of somebody who has no sockets of their own. */
export const NO_CONNECTIONS: ConnectionStats = Object.freeze({
  totalConnections: 0,
  activeConnections: 0,
  idleConnections: 0,
  connectionsCreated: 0,
  connectionsClosed: 0,
  connectionErrors: 0,
  throttledMs: 0,
  trailingBytes: 0,
})

/** Collaborators that tests replace. */
export interface ClusterSetup {
  readonly settings: ClusterSettings
  readonly clock: Clock
  readonly random: RandomSource
  readonly dial: Dial
  readonly logger: Logger
  readonly events: Emitter<ClusterEvents>
}

/** Learns of connections that are no links. */
export interface PassingConnections {
  opened(connection: Connection): void
  closed(connection: Connection): void
  /** It could not be opened, or broke under its question. */
  failed(): void
}

export class Links implements LinkHost {
  readonly settings: ClusterSettings
  readonly clock: Clock
  readonly random: RandomSource
  readonly dial: Dial
  /** Set by the cluster: a connection failed or broke, leaders may have moved. */
  onTrouble: (why: string) => void = () => {}
  /** Set by the cluster: a connection is there; not one for control, which the metadata themselves ask for. */
  onReturn: () => void = () => {}
  /** Set by the cluster: a connection that may lead to a coordinator broke, or could not be made. */
  onCoordinatorLost: (brokerId: number) => void = () => {}
  readonly #setup: ClusterSetup
  readonly #cache: MetadataCache
  readonly #links = new Map<number, Map<LinkPurpose, BrokerLink>>()
  readonly #open = new Set<Connection>()
  #finalizedEpoch = -1
  #finalized: ReadonlyMap<string, { readonly max: number }> = new Map()
  #created = 0
  #closed = 0
  #errors = 0
  #throttledMs = 0 // of connections that are gone
  #trailingBytes = 0
  #isClosed = false

  constructor(setup: ClusterSetup, cache: MetadataCache) {
    this.settings = setup.settings
    this.clock = setup.clock
    this.random = setup.random
    this.dial = setup.dial
    this.#setup = setup
    this.#cache = cache
  }

  /** The link, always the same object for the same broker and purpose. */
  link(brokerId: number, purpose: LinkPurpose): BrokerLink {
    if (this.#isClosed) throw closedHere('the cluster')
    const ofBroker = this.#links.get(brokerId) ?? new Map<LinkPurpose, BrokerLink>()
    this.#links.set(brokerId, ofBroker)
    const link = ofBroker.get(purpose) ?? new BrokerLink(brokerId, purpose, this)
    ofBroker.set(purpose, link)
    return link
  }

  /** Control links to ask, best first: ready and least busy, then the others in random order; none that backs off. */
  candidates(): BrokerLink[] {
    const links = this.#cache.brokers.map(({ brokerId }) => this.link(brokerId, 'control'))
    const ready = links.filter((link) => link.hasRoom).sort((a, b) => a.inFlight - b.inFlight)
    const others = links.filter((link) => !link.hasRoom && !link.isBackingOff)
    return [...ready, ...this.#shuffled(others)]
  }

  /** A connection to an address that the user gave: for one question, and counted as all others are. */
  readonly passing: PassingConnections = {
    opened: (connection) => {
      this.#created++
      this.#open.add(connection)
    },
    closed: (connection) => {
      this.#closed++
      this.#open.delete(connection)
      this.#trailingBytes += connection.trailingBytes
    },
    failed: () => {
      if (!this.#isClosed) this.#errors++
    },
  }

  /** Level of a feature that the whole cluster has agreed on; 0 = none, -1: no broker has told (an old ApiVersions). */
  finalizedFeature(name: string): number {
    return this.#finalized.get(name)?.max ?? (this.#finalizedEpoch < 0 ? -1 : 0)
  }

  addressesChanged(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.addressChanged()
  }

  stats(): ConnectionStats {
    const open = [...this.#open]
    const sum = (read: (connection: Connection) => number) => open.reduce((total, one) => total + read(one), 0)
    const active = open.filter(({ inFlight }) => inFlight > 0).length
    return {
      totalConnections: open.length,
      activeConnections: active,
      idleConnections: open.length - active,
      connectionsCreated: this.#created,
      connectionsClosed: this.#closed,
      connectionErrors: this.#errors,
      throttledMs: this.#throttledMs + sum((one) => one.throttledMs),
      trailingBytes: this.#trailingBytes + sum((one) => one.trailingBytes),
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const links = [...this.#links.values()].flatMap((ofBroker) => [...ofBroker.values()])
    await Promise.all(links.map((link) => link.close()))
  }

  // LinkHost

  addressOf(brokerId: number): BrokerAddress | undefined {
    return this.#cache.broker(brokerId)
  }

  linkUp(link: BrokerLink, connection: Connection): void {
    this.#created++
    this.#open.add(connection)
    const { finalizedFeatures, finalizedFeaturesEpoch } = connection.apis
    if (finalizedFeaturesEpoch > this.#finalizedEpoch) {
      this.#finalizedEpoch = finalizedFeaturesEpoch
      this.#finalized = finalizedFeatures
    }
    this.#setup.events.emit('brokerUp', eventOf(link, connection.address))
    if (link.purpose !== 'control') this.onReturn()
  }

  linkDown(link: BrokerLink, connection: Connection, reason: MQError): void {
    this.#closed++
    this.#open.delete(connection)
    this.#throttledMs += connection.throttledMs
    this.#trailingBytes += connection.trailingBytes
    if (this.#isClosed) return // We did it ourselves: there is nothing to tell and nothing to find out.
    this.#setup.events.emit('brokerDown', { ...eventOf(link, connection.address), reason })
    if (reason.context['isIdle'] === true) return
    this.#errors++
    this.#mayHaveLostCoordinator(link)
    this.#setup.logger.warn(`connection to broker ${link.brokerId} lost`, {
      purpose: link.purpose,
      why: reason.message,
    })
    this.onTrouble(`the ${link.purpose} connection to broker ${link.brokerId} was lost`)
  }

  linkFailed(link: BrokerLink, error: MQError): void {
    this.#errors++
    this.#setup.logger.debug(`no connection to broker ${link.brokerId}`, { purpose: link.purpose, why: error.message })
    if (error.fatal) this.#setup.events.emit('error', error)
    this.#mayHaveLostCoordinator(link)
    this.onTrouble(`broker ${link.brokerId} cannot be reached`)
  }

  #mayHaveLostCoordinator({ brokerId, purpose }: BrokerLink): void {
    if (purpose === 'control' || purpose === 'group') this.onCoordinatorLost(brokerId)
  }

  #shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, key: this.random.next() }))
      .sort((a, b) => a.key - b.key)
      .map(({ item }) => item)
  }
}

function eventOf({ brokerId, purpose }: BrokerLink, { host, port }: BrokerAddress) {
  return { brokerId, purpose, host, port }
}
