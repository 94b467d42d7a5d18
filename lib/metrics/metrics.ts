/**
 * The metrics of one instance: sources in, Prometheus, OpenMetrics, HTTP and a sink out.
 * Why nothing is counted here: sources count in plain fields, and are asked when somebody looks; so with
 * `metrics.enabled: false` there is nothing to switch off but the looking (ME-1).
 * Invariants: all outputs show the samples of one Collector; after `close()` no timer, no port, and nothing of ours in a
 * shared registry, while `text()` of our own keeps the last totals.
 */
import { Registry } from 'prom-client'
import { type MetricsSettings, parseListenAddress } from '../config/index.js'
import { MQError } from '../errors/index.js'
import { type Clock, type Logger, runInBackground, silentLogger, systemClock, type TimerHandle } from '../util/index.js'
import { Collector, type RoomReadings } from './collector.js'
import { Endpoint, type HealthAnswer, type ListeningAddress, type MetricsHandler, metricsHandler } from './endpoint.js'
import { expose, Registration } from './prometheus.js'
import type { MeasuresOf, Room } from './series.js'
import { SERIES } from './series-table.js'
import { SINK_LIMIT_MS, SinkPump } from './sink-pump.js'
import { type WalSource, walRoom } from './wal-readings.js'

export interface MetricsOptions {
  readonly settings: MetricsSettings
  readonly clientId: string
  /** Records per second; target of `throughput_target_ratio`. */
  readonly targetThroughputPerSec: number
  readonly clock?: Clock
  readonly logger?: Logger
}

/** Something that gives measures of a kind whenever it is asked. */
export interface MeasureSource<Measures> {
  measures(): Measures
}

const DISABLED_TEXT = '# metrics are disabled (metrics.enabled: false)\n'
const NOTHING = () => {}
/** What the last flush may take in any case. Milliseconds. */
const LEAST_FLUSH_MS = 1_000

export class Metrics {
  /** prom-client's: our own, or the one that was given. */
  readonly registry: Registry
  readonly isEnabled: boolean
  readonly #settings: MetricsSettings
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #collector: Collector
  readonly #registration: Registration
  readonly #pump: SinkPump | null
  readonly #isShared: boolean
  #health: (() => Promise<HealthAnswer>) | null = null
  #timer: TimerHandle | null = null
  #endpoint: Endpoint | null = null
  #listening: Promise<ListeningAddress> | null = null
  #closing: Promise<void> | null = null

  /** INVALID_CONFIG: a constant label that a series has too, or a shared registry that has our names already. */
  constructor(options: MetricsOptions) {
    const { settings, clientId, targetThroughputPerSec } = options
    this.#settings = settings
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.isEnabled = settings.enabled
    this.#isShared = settings.registry !== undefined
    this.registry = this.#isShared ? (settings.registry as Registry) : new Registry()
    checkLabels(settings.labels, this.#isShared)
    this.#collector = new Collector({
      prefix: settings.prefix,
      compatPrefixes: settings.compatPrefixes,
      labels: this.#isShared ? { client_id: clientId, ...settings.labels } : settings.labels,
      facts: { targetThroughputPerSec },
      logger: this.#logger,
    })
    this.#registration = new Registration(this.registry, () => this.#collector.collect())
    this.#pump = settings.sink === undefined ? null : new SinkPump(settings.sink, this.#clock, this.#logger)
    if (this.isEnabled) this.#registration.check(SERIES.flatMap((row) => this.#collector.namesOf(row)))
    this.#expose()
  }

  /** Each attach gives the function that detaches; the totals of what was detached stay counted. */
  attachProducer(source: MeasureSource<MeasuresOf['producer']>): () => void {
    return this.#attach(() => this.#collector.attach('producer', () => source.measures()))
  }

  attachConsumer(source: MeasureSource<MeasuresOf['consumer']>): () => void {
    return this.#attach(() => this.#collector.attach('consumer', () => source.measures()))
  }

  attachConnections(source: MeasureSource<MeasuresOf['connections']>): () => void {
    return this.#attach(() => this.#collector.attach('connections', () => source.measures()))
  }

  attachChannel(source: MeasureSource<MeasuresOf['channel']>): () => void {
    return this.#attach(() => this.#collector.attach('channel', () => source.measures()))
  }

  /** The series of ME-7 exist from now on. */
  attachProcess(source: MeasureSource<MeasuresOf['process']>): () => void {
    return this.#attach(() => this.#collector.attach('process', () => source.measures()))
  }

  /** A room that names its readings itself (queue, net, gateway, wal): its series exist from now on. */
  attachRoom(room: Exclude<Room, 'core' | 'process'>, source: { readings(): RoomReadings }): () => void {
    return this.#attach(() => this.#collector.attachRoom(room, () => source.readings()))
  }

  /** The log of a producer or a queue: its series exist from now on, with values once it is open. */
  attachWal(source: WalSource): () => void {
    return this.attachRoom('wal', walRoom(source))
  }

  /** One more in `errors_total`, if there is an MQError in the chain of causes. */
  countError(component: string, error: unknown): void {
    if (this.isEnabled) this.#collector.countError(component, error)
  }

  /** Prometheus text format 0.0.4: everything in the registry. */
  text(): Promise<string> {
    return this.isEnabled ? expose(this.registry, 'text') : Promise.resolve(DISABLED_TEXT)
  }

  /** OpenMetrics 1.0.0: everything in the registry. */
  openMetrics(): Promise<string> {
    return this.isEnabled ? expose(this.registry, 'openMetrics') : Promise.resolve('# EOF\n')
  }

  /** For a server of your own. 404 when metrics are disabled. */
  handler(): MetricsHandler {
    return metricsHandler(this.#endpointSource(), this.#logger)
  }

  setHealth(check: () => Promise<HealthAnswer>): void {
    this.#health = check
  }

  /** Begins what runs by itself: flushes to the sink, and the endpoint of `metrics.address`. Harmless when it runs. */
  start(): void {
    if (this.#closing !== null) return
    if (this.#timer === null && this.#pump !== null && this.isEnabled) this.#arm()
    if (this.#settings.address === undefined || this.#listening !== null) return
    runInBackground(
      'metrics.listen',
      async () => void (await this.listen()),
      (_name, error) => this.#logger.error('the metrics endpoint is not there', { error: String(error) }),
    )
  }

  /**
   * Serves `metrics.path` and `/healthz` on `metrics.address`. One port per instance: asked again, the same answer.
   * ':9091' is every address of the machine. INVALID_CONFIG naming `metrics.address` when it cannot be listened on,
   * MISSING_CONFIG when it is unset.
   */
  listen(): Promise<ListeningAddress> {
    const { address, path } = this.#settings
    return address === undefined ? Promise.reject(this.#told(noAddress())) : this.metricsServer(path, address)
  }

  /** As `listen`, with a path and an address instead of the configured ones (NT-9). */
  metricsServer(path = '/metrics', address = ':9091'): Promise<ListeningAddress> {
    if (this.#closing !== null) return Promise.reject(this.#told(closed()))
    this.#listening ??= this.#open(path, address).catch((error: unknown) => {
      this.#listening = null
      throw this.#told(error)
    })
    return this.#listening
  }

  /** Brings all samples to the sink now. Never rejects: a sink that fails is told to the logger. */
  async flush(): Promise<void> {
    if (this.isEnabled && this.#pump !== null) await this.#pump.push(() => this.#collector.collect())
  }

  /**
   * A last flush, then the port. Idempotent. A sink that hangs holds it up for `timeoutMs`, default and at most 5000, at
   * least 1000: the figures of an end that went wrong are those that matter.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const limitMs = Math.max(LEAST_FLUSH_MS, options.timeoutMs ?? SINK_LIMIT_MS)
    this.#closing ??= this.#close(Math.min(limitMs, SINK_LIMIT_MS))
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(limitMs: number): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    this.#collector.detachAll()
    if (this.isEnabled && this.#pump !== null) await this.#pump.push(() => this.#collector.collect(), limitMs)
    await this.#listening?.catch(NOTHING)
    await this.#endpoint?.close()
    if (this.#isShared) this.#registration.leave()
  }

  /** After close nothing is attached, so nothing is kept alive. */
  #attach(attach: () => () => void): () => void {
    if (!this.isEnabled || this.#closing !== null) return NOTHING
    const detach = attach()
    this.#expose()
    return detach
  }

  #expose(): void {
    if (!this.isEnabled) return
    for (const row of this.#collector.rows) this.#registration.join(this.#collector.namesOf(row), row)
  }

  #told<T>(error: T): T {
    this.countError('metrics', error)
    return error
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#arm()
      // A sink that is slower than the interval is not asked twice at once.
      if (this.#pump?.isBusy === false) void this.flush()
    }, this.#settings.flushIntervalMs)
  }

  async #open(path: string, address: string): Promise<ListeningAddress> {
    const target = parseListenAddress(address)
    if (target === undefined) throw badAddress(address)
    const endpoint = new Endpoint(this.#endpointSource(), address, path, this.#logger)
    const at = await endpoint.listen(target.host, target.port)
    this.#endpoint = endpoint
    return at
  }

  #endpointSource() {
    const health = () => this.#health
    return {
      isEnabled: this.isEnabled,
      text: () => this.text(),
      openMetrics: () => this.openMetrics(),
      get health() {
        return health()
      },
    }
  }
}

/** A constant label named as one of a series would be overwritten by it, in silence. */
function checkLabels(labels: Readonly<Record<string, string>>, isShared: boolean): void {
  const taken = new Set(SERIES.flatMap((row) => row.labels))
  if (isShared) taken.add('client_id')
  const issues = Object.keys(labels)
    .filter((label) => taken.has(label))
    .map((label) => ({ path: `metrics.labels.${label}`, value: labels[label], expected: 'a name no series uses' }))
  if (issues.length === 0) return
  const names = issues.map((issue) => issue.path).join(', ')
  throw new MQError('INVALID_CONFIG', `${names}: series have labels of that name: choose another`, { issues })
}

function noAddress(): MQError {
  return new MQError('MISSING_CONFIG', 'metrics.address is unset: say where to listen, such as 127.0.0.1:9091', {
    issues: [{ path: 'metrics.address', value: undefined, expected: "':port' or 'host:port'" }],
  })
}

function badAddress(value: string): MQError {
  const expected = "':port' or 'host:port' (IPv6 in brackets)"
  return new MQError('INVALID_CONFIG', `metrics.address '${value}': expected ${expected}`, {
    issues: [{ path: 'metrics.address', value, expected }],
  })
}

function closed(): MQError {
  return new MQError('CONNECTION_CLOSED', 'these metrics were closed: nothing is served any more')
}
