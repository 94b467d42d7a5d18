/** A coordinator without sockets: the test holds every OffsetCommit and OffsetFetch, and answers it when and how it likes. */
import { type ConsumerConfig, resolveConsumerConfig } from '../../../lib/config/index.js'
import { Committer } from '../../../lib/consumer/group/offsets/committer.js'
import type { OffsetsCluster } from '../../../lib/consumer/group/offsets/offsets.js'
import type { MemberIdentity, MemberState, Membership } from '../../../lib/consumer/group/ports.js'
import { MQError } from '../../../lib/errors/index.js'
import {
  type Api,
  type DecodedResponseOf,
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  OffsetCommit,
  type OffsetFetch,
  type RequestOf,
  type ResponseOf,
} from '../../../lib/protocol/index.js'
import { type Deferred, deferred, FakeClock, seededRandom, silentLogger } from '../../../lib/util/index.js'

type AnyBody = RequestOf<typeof OffsetCommit> & RequestOf<typeof OffsetFetch>

/** Error numbers by `topic/partition`; partitions that are not named are stored. */
export type Codes = Readonly<Record<string, number>>

/** One request on the wire: it went through the real encoder, so a field of another version would have thrown. */
export class HeldRequest {
  readonly api: Api
  readonly version: number
  readonly body: AnyBody
  readonly deadlineMs: number
  readonly done: Deferred<never> = deferred()
  isAnswered = false

  constructor(api: Api, version: number, body: AnyBody, deadlineMs: number) {
    this.api = api
    this.version = version
    const frame = Buffer.concat(encodeRequest(api, version, 1, 'test', body as never).map((part) => Buffer.from(part)))
    this.body = decodeRequest(frame.subarray(4)).body as never
    this.deadlineMs = deadlineMs
  }

  /** `t/0=5` for each value of a commit. */
  get values(): string[] {
    return this.body.topics?.flatMap(({ name, partitions }) =>
      partitions.map((row) => `${name}/${row.partitionIndex}=${row.committedOffset}`),
    ) as string[]
  }

  get who(): string {
    return `${this.body.memberId}@${this.body.generationIdOrMemberEpoch}`
  }

  /** Answers a commit. */
  answer(codes: Codes = {}, missing: readonly string[] = []): void {
    const topics = this.body.topics?.map(({ name, partitions }) => ({
      name: name as string,
      partitions: partitions
        .map(({ partitionIndex }) => ({ partitionIndex, errorCode: codes[`${name}/${partitionIndex}`] ?? 0 }))
        .filter(({ partitionIndex }) => !missing.includes(`${name}/${partitionIndex}`)),
    }))
    this.reply({ topics })
  }

  /** Answers a commit with the same number for all. */
  refuse(code: number): void {
    this.answer(Object.fromEntries(this.values.map((value) => [value.split('=')[0], code])))
  }

  reply(body: unknown): void {
    this.isAnswered = true
    const frame = Buffer.concat(
      encodeResponse(this.api, this.version, 1, body as ResponseOf<Api>).map((part) => Buffer.from(part)),
    )
    this.done.resolve(decodeResponse(this.api, this.version, frame.subarray(4)).body as never)
  }

  fail(error: MQError): void {
    this.isAnswered = true
    this.done.reject(error)
  }
}

export class ScriptedMember implements Membership {
  protocol: 'classic' | 'consumer' = 'classic'
  state: MemberState = 'stable'
  identity: MemberIdentity | null = { memberId: 'm', generation: 3, instanceId: null }
  readonly trouble = null
  readonly refusals: number[] = []
  refreshes = 0
  /** What `refreshIdentity` does. */
  onRefresh: () => Promise<void> = async () => {}

  start(): void {}
  topicsChanged(): void {}
  checkSession(): void {}
  abandon(): void {}
  async close(): Promise<void> {}

  commitRefused(code: number): void {
    this.refusals.push(code)
  }

  refreshIdentity(): Promise<void> {
    this.refreshes++
    return this.onRefresh()
  }

  generation(generation: number): void {
    this.identity = { memberId: 'm', instanceId: null, ...this.identity, generation }
  }
}

export class ScriptedCoordinator implements OffsetsCluster {
  readonly clock = new FakeClock()
  readonly held: HeldRequest[] = []
  readonly forgotten: number[] = []
  readonly owned = new Set(['t/0', 't/1', 't/2'])
  brokerId = 1
  version = 9
  member: ScriptedMember | null = new ScriptedMember()
  /** What the last request would carry if it was sent once more over another connection. */
  remake: () => AnyBody = () => ({}) as AnyBody
  /** Thrown by the next requests instead of holding them. */
  refusal: MQError | null = null

  async coordinator(): Promise<number> {
    return this.brokerId
  }

  forgetCoordinator(groupId: string, brokerId: number): void {
    if (groupId !== 'g') throw new Error(`the test has no group ${groupId}`)
    this.forgotten.push(brokerId)
  }

  async requestGroup<A extends Api>(
    _groupId: string,
    api: A,
    body: RequestOf<A> | ((version: number) => RequestOf<A>),
    options: { readonly deadlineMs?: number } = {},
  ): Promise<DecodedResponseOf<A>> {
    if (this.refusal !== null) throw this.refusal
    const { version } = this
    this.remake = () =>
      typeof body === 'function' ? (body as unknown as (version: number) => AnyBody)(version) : (body as AnyBody)
    const request = new HeldRequest(api, version, this.remake(), options.deadlineMs ?? Number.POSITIVE_INFINITY)
    this.held.push(request)
    return request.done.promise
  }

  /** With a member of the protocol that the configuration asks for. */
  committer(config: ConsumerConfig = {}): Committer {
    if (this.member !== null) this.member.protocol = config.groupProtocol === 'consumer' ? 'consumer' : 'classic'
    return new Committer({
      config: resolveConsumerConfig({ brokers: 'localhost:9092', logger: silentLogger, groupId: 'g', ...config }),
      cluster: this,
      clock: this.clock,
      random: seededRandom(5),
      member: () => this.member,
      isOwned: ({ topic, partition }) => this.owned.has(`${topic}/${partition}`),
    })
  }

  get last(): HeldRequest {
    return this.held.at(-1) as HeldRequest
  }

  /** Requests that nobody has answered. */
  get outstanding(): number {
    return this.held.filter((request) => request.api === (OffsetCommit as Api) && !request.isAnswered).length
  }

  /** Lets everything that is ready run; time stands still. */
  async turn(): Promise<void> {
    for (let step = 0; step < 40; step++) await Promise.resolve()
  }

  async advance(ms: number): Promise<void> {
    await this.turn()
    this.clock.advance(ms)
    await this.turn()
  }
}

/** What became of a promise: 'open', 'stored', or its error. */
export class Fate {
  error: MQError | null = null
  settlements = 0

  constructor(promise: Promise<unknown>) {
    promise.then(
      () => void this.settlements++,
      (error: unknown) => {
        this.settlements++
        this.error = error as MQError
      },
    )
  }

  get text(): string {
    if (this.settlements === 0) return 'open'
    return this.error === null ? 'stored' : this.error.code
  }

  get cause(): MQError {
    return this.error?.cause as MQError
  }
}

/** `t/0`, offset 5. */
export function at(partition: number, offset: number, more: { leaderEpoch?: number; metadata?: string } = {}) {
  return { topic: 't', partition, offset, ...more }
}

export function lost(retryable: boolean): MQError {
  return new MQError('CONNECTION_FAILED', 'the connection broke', { wasSent: 'possibly' }, { retryable })
}
