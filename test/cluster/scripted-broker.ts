/**
 * A broker that does what the test says, byte by byte where needed. It answers ApiVersions and Metadata by itself;
 * everything else, and everything wrong, is scripted.
 */
import { MQError } from '../../lib/errors/index.js'
import type { Transport } from '../../lib/net/index.js'
import {
  ALL_APIS,
  type Api,
  ApiVersions,
  type DecodedRequestOf,
  decodeRequest,
  encodeResponse,
  Metadata,
  type ResponseOf,
  ZERO_UUID,
} from '../../lib/protocol/index.js'
import { type Deferred, deferred } from '../../lib/util/index.js'

export interface Arrived<A extends Api = Api> {
  readonly api: A
  readonly version: number
  readonly correlationId: number
  readonly body: DecodedRequestOf<A>
  readonly transport: Transport
  /** Answers properly. */
  reply(body: ResponseOf<A>, correlationId?: number): void
  /** Sends these bytes as they are. */
  raw(bytes: Uint8Array): void
  /** The proper answer as bytes, to be damaged. */
  encode(body: ResponseOf<A>): Buffer
}
export type Script<A extends Api = Api> = (request: Arrived<A>) => void

export interface ScriptedPartition {
  leaderId: number
  leaderEpoch: number
  errorCode?: number
}
export interface ScriptedTopic {
  topicId?: string
  errorCode?: number
  partitions: ScriptedPartition[]
}

/** What all brokers of a scripted cluster tell; each broker may have a state of its own. */
export interface ScriptedState {
  clusterId: string | null
  brokers: { nodeId: number; host: string; port: number }[]
  topics: Map<string, ScriptedTopic>
  /** Top-level error of Metadata 13. */
  errorCode: number
}

export function scriptedState(): ScriptedState {
  return { clusterId: 'cluster-a', brokers: [], topics: new Map(), errorCode: 0 }
}

export class ScriptedBroker {
  readonly requests: Arrived[] = []
  readonly transports = new Set<Transport>()
  accepted = 0
  state: ScriptedState
  readonly #scripts = new Map<number, Script>()
  readonly #watchers: { key: number; count: number; done: Deferred<void> }[] = []
  readonly ranges = new Map<number, { min: number; max: number }>()

  constructor(state: ScriptedState) {
    this.state = state
    for (const api of ALL_APIS) if (api.client !== undefined) this.ranges.set(api.key, { ...api.client })
  }

  readonly accept = (transport: Transport): void => {
    this.accepted++
    this.transports.add(transport)
    transport.onFrame = (frame) => this.#received(transport, frame)
    transport.onClosed = () => this.transports.delete(transport)
  }

  /** Every later request of this api goes to `script`; null: the default again. */
  on<A extends Api>(api: A, script: Script<A> | null): void {
    if (script === null) this.#scripts.delete(api.key)
    else this.#scripts.set(api.key, script as unknown as Script)
  }

  /** Requests of this api so far. */
  count(api: Api): number {
    return this.requests.filter((one) => one.api === api).length
  }

  of<A extends Api>(api: A): Arrived<A>[] {
    return this.requests.filter((one) => one.api === (api as Api)) as unknown as Arrived<A>[]
  }

  /** Resolves when this many requests of the api have come, now or later. */
  saw(api: Api, count = 1): Promise<void> {
    const done = deferred<void>()
    this.#watchers.push({ key: api.key, count, done })
    this.#notify(api)
    return done.promise
  }

  /** All connections end. */
  hangUp(): void {
    for (const transport of [...this.transports]) transport.destroy(new MQError('CONNECTION_CLOSED', 'hung up'))
  }

  metadata(names: readonly (string | null)[] | null): ResponseOf<typeof Metadata> {
    const { clusterId, brokers, topics, errorCode } = this.state
    return {
      clusterId,
      controllerId: brokers[0]?.nodeId ?? -1,
      brokers,
      errorCode,
      topics: (names ?? [...topics.keys()]).map((name) => topicAnswer(name ?? '', topics.get(name ?? ''))),
    }
  }

  versions(errorCode = 0): ResponseOf<typeof ApiVersions> {
    const apiKeys = [...this.ranges].map(([apiKey, { min, max }]) => ({ apiKey, minVersion: min, maxVersion: max }))
    return { errorCode, apiKeys }
  }

  #received(transport: Transport, frame: Uint8Array): void {
    const { api, version, correlationId, body } = decodeRequest(frame, { trailing: 'error' })
    const encode = (answer: ResponseOf<Api>) => Buffer.concat(encodeResponse(api, version, correlationId, answer))
    const request: Arrived = {
      api,
      version,
      correlationId,
      body,
      transport,
      reply: (answer, id = correlationId) => void transport.write(encodeResponse(api, version, id, answer)),
      raw: (bytes) => void transport.write([bytes]),
      encode,
    }
    this.requests.push(request)
    const script = this.#scripts.get(api.key)
    if (script !== undefined) script(request)
    else this.#default(request)
    this.#notify(api)
  }

  #default(request: Arrived): void {
    if (request.api === (ApiVersions as Api)) request.reply(this.versions() as ResponseOf<Api>)
    else if (request.api === (Metadata as Api)) {
      const { topics } = request.body as unknown as DecodedRequestOf<typeof Metadata>
      request.reply(this.metadata(topics === null ? null : topics.map(({ name }) => name)) as ResponseOf<Api>)
    }
  }

  #notify(api: Api): void {
    const count = this.count(api)
    for (const watcher of this.#watchers) if (watcher.key === api.key && count >= watcher.count) watcher.done.resolve()
  }
}

function topicAnswer(name: string, topic: ScriptedTopic | undefined) {
  if (topic === undefined) return { name, errorCode: 3, partitions: [] }
  const partitions = topic.partitions.map(({ leaderId, leaderEpoch, errorCode = 0 }, partitionIndex) => ({
    errorCode,
    partitionIndex,
    leaderId,
    leaderEpoch,
    replicaNodes: [1, 2, 3],
    isrNodes: [1, 2, 3],
  }))
  return { name, topicId: topic.topicId ?? ZERO_UUID, errorCode: topic.errorCode ?? 0, partitions }
}
