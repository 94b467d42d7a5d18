/**
 * A crash, ready to be resolved: a log over arrays, an in-process broker that got some of its batches before, and the
 * resolution between them on a clock that runs by itself. Everything it says is noted.
 */
import { onTestFinished } from 'vitest'
import { type Broker, type BrokerOptions, createBroker, type TopicOptions } from '../../../../../lib/broker/index.js'
import { Cluster } from '../../../../../lib/cluster/index.js'
import { resolveClientConfig, type WalSettings } from '../../../../../lib/config/index.js'
import type { MQError } from '../../../../../lib/errors/index.js'
import type { DataLoss } from '../../../../../lib/producer/data-loss.js'
import { Resolution } from '../../../../../lib/producer/log/resolution/resolution.js'
import type { ResolutionEvents, WalEdge } from '../../../../../lib/producer/log/resolution/types.js'
import { Produce } from '../../../../../lib/protocol/index.js'
import { Pauses, seededRandom } from '../../../../../lib/util/index.js'
import type { Entry, RecoveredLog } from '../../../../../lib/wal/index.js'
import { makeBatch } from '../../../../broker/batches.js'
import { RawClient } from '../../../../broker/raw-client.js'
import { type DrivenClock, drivenClock } from '../../../../support/driven-clock.js'
import { type FakeStream, FakeWal } from './fake-wal.js'

export const PID = 4711n
export const PLACE = { topic: 'orders', partition: 0 }
const REQUEST_TIMEOUT_MS = 2000

/** What a resolution said. */
export class Told implements ResolutionEvents {
  readonly openings: { readonly stream: number; readonly leftovers: readonly Entry[] }[] = []
  readonly holds: { readonly stream: number; readonly edge: string; readonly records: number }[] = []
  readonly edges: WalEdge[] = []
  readonly losses: DataLoss[] = []
  readonly steps: { resolved: number; entries: number; held: number; etaMs: number }[] = []
  readonly fatals: MQError[] = []

  opened = (stream: { id: number }, leftovers: readonly Entry[]) => {
    this.openings.push({ stream: stream.id, leftovers })
  }
  held = (stream: { id: number }, edge: string, records: number) => {
    this.holds.push({ stream: stream.id, edge, records })
  }
  edge = (event: WalEdge) => {
    this.edges.push(event)
  }
  dataLoss = (loss: DataLoss) => {
    this.losses.push(loss)
  }
  progress = (step: { resolved: number; entries: number; held: number; etaMs: number }) => {
    this.steps.push(step)
  }
  fatal = (error: MQError) => {
    this.fatals.push(error)
  }
}

export interface CrashOptions {
  readonly broker?: BrokerOptions
  readonly topic?: TopicOptions
  readonly settings?: Partial<WalSettings>
  readonly previous?: Partial<NonNullable<RecoveredLog['previous']>>
}

export function walSettings(over: Partial<WalSettings> = {}): WalSettings {
  const config = resolveClientConfig({ brokers: '127.0.0.1:1', wal: { durability: 'immediate', dir: '/nowhere' } })
  return { ...config.wal, ...over }
}

/** Texts of one batch; three records each unless told otherwise. */
export const valuesOf = (name: string, count = 3) => Array.from({ length: count }, (_, index) => `${name}.${index}`)

export class Crash {
  readonly clock: DrivenClock
  readonly broker: Broker
  readonly wal: FakeWal
  readonly cluster: Cluster
  readonly pauses: Pauses
  readonly told = new Told()
  readonly resolution: Resolution
  readonly stream: FakeStream
  readonly settings: WalSettings
  #nextSequence = 0

  constructor(clock: DrivenClock, broker: Broker, wal: FakeWal, stream: FakeStream, settings: Partial<WalSettings>) {
    this.clock = clock
    this.broker = broker
    this.wal = wal
    this.stream = stream
    this.settings = walSettings(settings)
    const brokers = broker.bootstrap.split(',').map((address) => {
      const [host = '', port = ''] = address.split(':')
      return { host, port: Number(port) }
    })
    const patience = { readTimeoutMs: 500, dialTimeoutMs: 1000, retryBackoffMs: 10, retryBackoffMaxMs: 50 }
    this.cluster = new Cluster({ brokers, ...patience }, { clock, random: seededRandom(7) })
    this.pauses = new Pauses(clock)
    this.resolution = new Resolution({
      wal: wal.wal,
      cluster: this.cluster,
      settings: this.settings,
      clock,
      random: seededRandom(8),
      pauses: this.pauses,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      events: this.told,
    })
    onTestFinished(async () => {
      this.resolution.stop()
      this.pauses.stop()
      await this.cluster.close()
    })
  }

  bytes(name: string, identity: { producerId?: bigint; epoch?: number; baseSequence?: number }, timestamp?: number) {
    const { producerId = PID, epoch = 0, baseSequence = 0 } = identity
    const time = timestamp ?? this.clock.now()
    return makeBatch({ values: valuesOf(name), producerId, producerEpoch: epoch, baseSequence, timestamp: time })
  }

  /** In-doubt batches of one identity, three records each, named by one letter each. */
  inDoubt(
    names: string,
    options: { producerId?: bigint; epoch?: number; from?: number; timestamp?: number; stream?: FakeStream } = {},
  ): Entry[] {
    const { producerId = PID, epoch = 0, timestamp = this.clock.now(), stream = this.stream } = options
    if (options.from !== undefined) this.#nextSequence = options.from
    return [...names].map((name) => {
      const baseSequence = this.#nextSequence
      this.#nextSequence = (baseSequence + 3) % 2 ** 31
      const bytes = this.bytes(name, { producerId, epoch, baseSequence }, timestamp)
      return this.wal.add(stream, { producerId, epoch, baseSequence, count: 3, maxTimestampMs: timestamp, bytes })
    })
  }

  /** Batches that were never bound. */
  unbound(names: string): Entry[] {
    return [...names].map((name) =>
      this.wal.add(this.stream, {
        count: 3,
        maxTimestampMs: this.clock.now(),
        bytes: makeBatch({ values: valuesOf(name), timestamp: this.clock.now() }),
      }),
    )
  }

  /** The dead process got these to the broker. */
  async written(entries: readonly Entry[]): Promise<void> {
    for (const { lsn } of entries) {
      const code = await this.send(await this.wal.read(lsn))
      if (code !== 0) throw new Error(`the broker answered ${code} while the scene was set`)
    }
    this.wal.reads.length = 0
  }

  /** A batch that is not in the log (any more), as a producer would send it. */
  async send(records: Uint8Array, partition = 0, topic = 'orders'): Promise<number> {
    const address = this.broker.bootstrap.split(',')[this.broker.log(topic, partition).leader - 1] as string
    const client = await RawClient.connect(address)
    const answer = await client.request(Produce, 7, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    })
    client.close()
    return answer.responses[0]?.partitionResponses[0]?.errorCode ?? -2
  }

  /** An acknowledgement that the log holds. */
  acknowledged(lastAckedSequence: number, lastAckedOffset: number, options: { epoch?: number } = {}): void {
    const { epoch = 0 } = options
    this.stream.acked.push({ producerId: PID, epoch, lastAckedSequence, maxTimestampMs: this.clock.now() })
    this.stream.lastAckedOffset = lastAckedOffset
  }

  /** Until everything is opened or held. */
  async resolve(): Promise<void> {
    this.broker.forgetRequests()
    this.resolution.start()
    await this.resolution.done
  }

  /** Names of the batches in the partition's log, in order. */
  async logged(partition = 0): Promise<string> {
    const records = await this.broker.records('orders', partition)
    const values = records.map(({ value }) => Buffer.from(value ?? []).toString())
    return values
      .filter((value) => value.endsWith('.0'))
      .map((value) => value.slice(0, -2))
      .join('')
  }

  /** How each entry was settled: outcome and offset; '-' = it is not. */
  outcomes(entries: readonly Entry[]): string[] {
    return entries.map(({ stream, firstPosition }) => {
      const settled = this.wal.settlements.find((one) => one.stream === stream && one.from === firstPosition)
      return settled === undefined ? '-' : `${settled.outcome}@${settled.baseOffset}`
    })
  }

  get verdicts(): Record<string, number> {
    return Object.fromEntries([...this.resolution.verdicts].filter(([, count]) => count !== 0))
  }

  /** Records by case, over all topics. */
  get edges(): Record<string, number> {
    return Object.fromEntries(
      [...this.resolution.edges].map(([edge, topics]) => [edge, [...topics.values()].reduce((sum, n) => sum + n, 0)]),
    )
  }

  /** Base sequences of what was produced since the resolution began. */
  get produced(): number {
    return this.broker.requests({ api: 'Produce' }).length
  }
}

/** A topic `orders` and a log with one stream for its partition 0. */
export async function crash(options: CrashOptions = {}): Promise<Crash> {
  const clock = drivenClock()
  const broker = await createBroker({ clock, ...options.broker })
  onTestFinished(() => broker.close())
  const topicId = broker.createTopic('orders', { replicationFactor: broker.brokerIds.length, ...options.topic })
  const wal = new FakeWal(options.previous, broker.clusterId)
  const isOld = options.broker?.profile === '2.1' || options.broker?.profile === '2.4'
  const stream = wal.addStream('orders', isOld ? '' : topicId, 0)
  return new Crash(clock, broker, wal, stream, options.settings ?? {})
}
