/**
 * The model broker as a cluster shows it: metadata that may be old, questions that are not answered, requests whose
 * bytes arrive long after the answer was given up. Chance comes from the seed.
 */
import { MQError } from '../../../../../lib/errors/index.js'
import type { ResolutionCluster } from '../../../../../lib/producer/log/resolution/types.js'
import { DescribeProducers, Fetch, ListOffsets } from '../../../../../lib/protocol/index.js'
import { type RandomSource, randomInt } from '../../../../../lib/util/index.js'
import type { ModelBroker } from './model-broker.js'

export interface Weather {
  /** Chance that something happens around a request. */
  readonly trouble: number
  /** Leaders change, and brokers restart. */
  readonly moves: boolean
  /** Bytes of requests that were given up may still arrive. */
  readonly zombies: boolean
  readonly isReadable: boolean
}

const NODES = 3
const TOPIC_ID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
/** A resolution that needs more is going round in circles. */
const MAX_REQUESTS = 3000

interface AskedPartition {
  readonly currentLeaderEpoch?: number
  readonly fetchOffset?: number
  readonly timestamp?: number
}

export class ModelCluster {
  static readonly topicId = TOPIC_ID
  readonly clusterId = 'model'
  /** On their way since before the crash, or given up: bytes and the broker they go to, in order. */
  readonly late: { readonly bytes: Buffer; readonly brokerId: number }[] = []
  readonly #broker: ModelBroker
  readonly #random: RandomSource
  readonly #weather: Weather
  #seen: { leaderId: number; leaderEpoch: number }
  #requests = 0

  constructor(broker: ModelBroker, random: RandomSource, weather: Weather) {
    this.#broker = broker
    this.#random = random
    this.#weather = weather
    this.#seen = { leaderId: broker.leaderId, leaderEpoch: broker.leaderEpoch }
  }

  get asCluster(): ResolutionCluster {
    return this as unknown as ResolutionCluster
  }

  connect = async (): Promise<void> => {}
  useTopic = (): void => {}
  applyLeaderHint = (): boolean => false

  refresh = async (): Promise<void> => {
    await Promise.resolve()
    // A broker that lags behind names the leader of before.
    if (this.#chance(0.8)) this.#seen = { leaderId: this.#broker.leaderId, leaderEpoch: this.#broker.leaderEpoch }
  }

  topic = (name: string) => {
    const partition = { partition: 0, errorCode: 0, ...this.#seen, replicas: [1, 2, 3], isr: [], offlineReplicas: [] }
    return { name, topicId: TOPIC_ID, isInternal: false, errorCode: 0, partitions: [partition] }
  }

  request = async (api: unknown, body: unknown, { brokerId }: { brokerId: number }): Promise<unknown> => {
    await this.#arrive()
    if (this.#happens()) throw new MQError('CONNECTION_CLOSED', 'the model lost a question', { wasSent: 'possibly' })
    const errorCode = brokerId === this.#broker.leaderId ? (this.#weather.isReadable ? 0 : 29) : 6
    if (api === DescribeProducers) return this.#describe(errorCode)
    const topics = (body as { topics: { partitions: AskedPartition[] }[] }).topics
    const asked = topics[0]?.partitions[0] as AskedPartition
    if (api === Fetch) return this.#fetch(errorCode, asked.fetchOffset as number)
    if (api === ListOffsets) return this.#listOffsets(brokerId, asked)
    throw new Error('the model does not know this request')
  }

  link = (brokerId: number) => ({
    hasRoom: true,
    whenRoom: async () => {},
    versionOf: () => 13,
    request: (_api: unknown, body: { topicData: { partitionData: { records: Uint8Array }[] }[] }) =>
      this.#produce(brokerId, Buffer.from(body.topicData[0]?.partitionData[0]?.records as Uint8Array)),
  })

  /** Everything that is still on its way arrives, and replicas catch up. */
  calm(): void {
    for (const { bytes, brokerId } of this.late.splice(0)) this.#broker.produce(bytes, brokerId)
    this.#broker.replicate()
  }

  async #produce(brokerId: number, bytes: Buffer): Promise<unknown> {
    await this.#arrive()
    const broken = () => new MQError('CONNECTION_CLOSED', 'the model broke the connection', { wasSent: 'possibly' })
    if (this.#happens()) {
      if (this.#weather.zombies && this.#chance(0.5)) this.late.push({ bytes, brokerId })
      throw broken()
    }
    const { code, baseOffset, time } = this.#broker.produce(bytes, brokerId)
    if (code === 0 && this.#chance(0.7)) this.#broker.replicate()
    if (this.#happens()) throw broken()
    const errorCode = code === 0 && !this.#broker.isDurable(baseOffset) ? 7 : code
    const answer = {
      index: 0,
      errorCode,
      baseOffset: errorCode === 0 ? baseOffset : -1,
      logAppendTimeMs: Number(time),
      currentLeader: { leaderId: -1, leaderEpoch: -1 },
    }
    return { responses: [{ partitionResponses: [answer] }], nodeEndpoints: [] }
  }

  #describe(errorCode: number) {
    const activeProducers = [...this.#broker.states].map(([producerId, { epoch, batches }]) => ({
      producerId,
      producerEpoch: epoch,
      lastSequence: Number(batches.at(-1)?.last ?? -1n),
    }))
    return { topics: [{ partitions: [{ errorCode, activeProducers: errorCode === 0 ? activeProducers : [] }] }] }
  }

  #fetch(errorCode: number, offset: number) {
    const { log, highWatermark } = this.#broker
    const code = errorCode === 0 && offset > highWatermark ? 1 : errorCode
    const batches = log.filter((one) => one.offset + one.count > offset && one.offset + one.count <= highWatermark)
    const bytes = batches.slice(0, 3).map((one) => {
      const copy = Buffer.from(one.bytes)
      copy.writeBigInt64BE(BigInt(one.offset), 0)
      return copy
    })
    const records = code === 0 ? Buffer.concat(bytes) : null
    return { responses: [{ partitions: [{ errorCode: code, records, highWatermark, logStartOffset: 0 }] }] }
  }

  #listOffsets(brokerId: number, { currentLeaderEpoch = -1, timestamp = -1 }: AskedPartition) {
    const { leaderId, leaderEpoch, highWatermark, log } = this.#broker
    const fenced =
      currentLeaderEpoch < 0 || currentLeaderEpoch === leaderEpoch ? 0 : currentLeaderEpoch < leaderEpoch ? 74 : 75
    const errorCode = brokerId === leaderId ? fenced : 6
    const byTime = log.find(({ maxTimestamp, offset }) => maxTimestamp >= BigInt(timestamp) && offset < highWatermark)
    const offset = timestamp === -1 ? highWatermark : timestamp === -2 ? 0 : (byTime?.offset ?? -1)
    return { topics: [{ partitions: [{ errorCode, offset }] }] }
  }

  /** Before each request: time passes, and things happen elsewhere. */
  async #arrive(): Promise<void> {
    await Promise.resolve()
    if (++this.#requests > MAX_REQUESTS) throw new Error(`more than ${MAX_REQUESTS} requests: it goes round in circles`)
    while (this.late.length > 0 && this.#chance(0.4)) {
      const { bytes, brokerId } = this.late.shift() as { bytes: Buffer; brokerId: number }
      this.#broker.produce(bytes, brokerId)
    }
    if (this.#chance(0.5)) this.#broker.replicate()
    if (!this.#weather.moves || !this.#happens()) return
    const kind = randomInt(this.#random, 3)
    const next = 1 + (this.#broker.leaderId % NODES)
    if (kind === 0) this.#broker.restartCleanly()
    else this.#broker.moveLeader(kind === 1 ? next : this.#broker.leaderId, this.#chance(0.5))
  }

  #happens(): boolean {
    return this.#chance(this.#weather.trouble)
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability
  }
}
