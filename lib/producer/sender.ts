/**
 * Serves one broker: takes lanes in seal order, puts the next batch of each into one Produce request, and hands the
 * answers back. Hot path, once per batch.
 * Why one deferred turn: records written in one tick of the event loop share a batch, and sealing, compression and
 * I/O never run inside a caller's append (P-13).
 * Invariant: at most one batch of a lane per request; a request closes at `REQUEST_BYTES`, a larger batch goes alone.
 *
 *   touch / enqueue -> (end of turn) -> lanes by key -> finish, stamp -> request -> answer -> Answers.settle
 */
import type { BrokerLink } from '../cluster/index.js'
import { findMQError, MQError } from '../errors/index.js'
import { type DecodedResponseOf, Produce, type RequestOf, ZERO_UUID } from '../protocol/index.js'
import { type CircuitState, type Clock, MinHeap, type TimerHandle } from '../util/index.js'
import type { Batch } from './batch.js'
import type { BatchMemory } from './batch-memory.js'
import type { BrokerCircuit } from './circuits.js'
import type { ProducerCounters } from './counters.js'
import { finishBatch } from './finish-batch.js'
import { isForgettable, SURE_MEMORY_MS } from './forgetting.js'
import type { Lane, LaneHome } from './lane.js'
import type { Observations } from './observations.js'
import type { ProducerSettings } from './settings.js'

/** A request closes here, so that one slow lane's megabytes do not delay the others' answers (P-49). */
const REQUEST_BYTES = 4 * 1024 * 1024
/** Plain bytes finished (compressed, checksummed; 1.3 ms per MiB of JSON) in one turn of the event loop; the rest goes on in the next (P-14). */
const TURN_BYTES = 2 * 1024 * 1024
/** Timers may fire so much too early. */
const TIMER_RESOLUTION_MS = 1
/** Topic ids travel instead of names from this version on. */
const FIRST_VERSION_BY_ID = 13

export type PartitionAnswer = DecodedResponseOf<typeof Produce>['responses'][number]['partitionResponses'][number]
export type ProduceAnswer = DecodedResponseOf<typeof Produce>
type TopicData = NonNullable<RequestOf<typeof Produce>['topicData']>[number]

/** One lane's part of a request. */
export interface Shipment {
  readonly lane: Lane
  readonly batch: Batch
  readonly leaderEpoch: number
}

/** What the sender asks of the producer. */
export interface SenderHost {
  readonly settings: ProducerSettings
  readonly clock: Clock
  readonly memory: BatchMemory
  readonly counters: ProducerCounters
  /** null: `metrics.enabled` is false. */
  readonly observations: Observations | null
  /** True when identities can be stamped; if not, asks for one and pumps again later. */
  identityReady(): boolean
  /** Stamps a finished batch with the lane's identity. */
  stamp(lane: Lane, batch: Batch): void
  /** The attempt was answered for this partition. */
  answered(shipment: Shipment, answer: PartitionAnswer, response: ProduceAnswer, brokerId: number): void
  /** The attempt ended without an answer. */
  unanswered(shipment: Shipment, error: MQError): void
  /** acks 0: the socket took the bytes. */
  taken(shipment: Shipment): void
  /** The batch may be in the log, and the broker may have forgotten it: it comes back, or is settled. */
  lookFor(lane: Lane, batch: Batch): void
  /** The batch can never be sent: its codec failed. */
  unsendable(lane: Lane, batch: Batch, error: MQError): void
  /** The broker takes no connection of ours (credentials, certificate), and nothing is tried until somebody asks. */
  brokerRefused(brokerId: number, error: MQError): void
}

export class Sender implements LaneHome {
  readonly brokerId: number
  readonly #link: BrokerLink
  readonly #host: SenderHost
  /** null: `circuitBreaker` is off. */
  readonly #circuit: BrokerCircuit | null
  readonly #ready = new MinHeap<Lane>((a, b) => a.queueKey - b.queueKey)
  #lingering: Lane[] = []
  #growing: Lane[] = []
  #lingerTimer: TimerHandle | null = null
  #lingerDueMs = 0 // monotonic
  #inFlightRequests = 0
  #requests = 0
  #turnBytes = 0
  #isTurnDue = false
  #isClosed = false

  constructor(link: BrokerLink, host: SenderHost, circuit: BrokerCircuit | null = null) {
    this.brokerId = link.brokerId
    this.#link = link
    this.#host = host
    this.#circuit = circuit
    link.onRoom = () => this.#scheduleTurn()
    link.onFailed = (error) => this.#notConnected(error)
  }

  /** Worth choosing for records that may go anywhere. */
  get isAvailable(): boolean {
    return this.#circuit === null || !this.#circuit.isOpen
  }

  /** New records are refused: the circuit is open and `failFast` set. */
  get isRefusing(): boolean {
    return this.#circuit?.isOpen === true && this.#circuit.failFast
  }

  get circuitState(): CircuitState {
    return this.#circuit?.state ?? 'closed'
  }

  /** Until this broker is tried again; 0 = no attempt is held back. Milliseconds. */
  get backoffMs(): number {
    return Math.max(this.#link.isBackingOff ? this.#link.backOffMs : 0, this.#circuit?.waitMs ?? 0)
  }

  /** Why there is no connection, when the last attempt or the last socket failed; null otherwise. */
  get lostConnection(): MQError | null {
    return this.#link.isReady || this.#link.lastError?.context.isIdle === true ? null : this.#link.lastError
  }

  /** The circuit changed: attempts end, or may begin again. */
  circuitChanged(): void {
    if (this.#circuit?.isOpen === true) this.#link.rest()
    else this.#scheduleTurn()
  }

  get inFlightRequests(): number {
    return this.#inFlightRequests
  }

  touch(lane: Lane): void {
    if (!lane.isLingering) {
      lane.isLingering = true
      this.#lingering.push(lane)
    }
    this.#scheduleTurn()
  }

  enqueue(lane: Lane): void {
    this.#offer(lane)
    this.#scheduleTurn()
  }

  /** Into the queue, or under watch: a lane that was queued may have to grow again when other requests left first. */
  #offer(lane: Lane): void {
    if (lane.home !== this || lane.isQueued) return
    if (lane.canSend()) this.#push(lane)
    else if (!lane.isWatched && lane.isGrowing) this.#watch(lane)
  }

  /** A lane that is due but should grow first goes when its linger is over, whatever its size. */
  #watch(lane: Lane): void {
    lane.isWatched = true
    this.#growing.push(lane)
    const leftMs = lane.lingerLeftMs()
    // The timer may stand for a lane whose first record is younger than that of this one.
    if (this.#lingerTimer !== null && this.#host.clock.monotonicMs() + leftMs >= this.#lingerDueMs) return
    this.#lingerTimer?.cancel()
    this.#armLinger(leftMs)
  }

  /** One timer for all lanes that grow: it looks at each, and comes again for the first of those that stay. */
  #armLinger(ms: number): void {
    this.#lingerDueMs = this.#host.clock.monotonicMs() + ms
    this.#lingerTimer = this.#host.clock.setTimer(
      () => {
        this.#lingerTimer = null
        const lanes = this.#growing
        this.#growing = []
        let nextMs = Number.POSITIVE_INFINITY
        for (const lane of lanes) {
          if (lane.home !== this) continue
          const leftMs = lane.isGrowing ? lane.lingerLeftMs() : 0
          if (leftMs > TIMER_RESOLUTION_MS) {
            this.#growing.push(lane)
            nextMs = Math.min(nextMs, leftMs)
            continue
          }
          lane.isWatched = false
          lane.leaveIfDue()
        }
        if (this.#growing.length > 0) this.#armLinger(nextMs)
      },
      Math.max(0, ms),
    )
  }

  /** Runs what can be sent now, at the end of this turn of the event loop. */
  wake(): void {
    this.#scheduleTurn()
  }

  /** Gives up the socket: everything on it becomes unsure. */
  abort(reason: MQError): void {
    this.#link.abort(reason)
  }

  close(): void {
    this.#isClosed = true
    this.#link.onRoom = null
    this.#link.onFailed = null
    this.#circuit?.close()
    this.#lingerTimer?.cancel()
  }

  /** Settings changed: what waits for the end of linger looks again. */
  settingsChanged(): void {
    if (this.#lingerTimer !== null) {
      this.#lingerTimer.cancel()
      this.#armLinger(0)
    }
    this.#scheduleTurn()
  }

  #notConnected(error: MQError): void {
    this.#circuit?.notConnected(error)
    if (error.fatal) this.#host.brokerRefused(this.brokerId, error)
  }

  #scheduleTurn(): void {
    if (this.#isTurnDue || this.#isClosed) return
    this.#isTurnDue = true
    this.#host.clock.defer(() => {
      this.#isTurnDue = false
      if (!this.#isClosed) this.#turn()
    })
  }

  #turn(): void {
    // Adaptive linger: with nothing on its way to this broker, waiting would only add latency (PR-9).
    if (this.#lingering.length > 0 && (this.#inFlightRequests === 0 || this.#host.settings.lingerMs === 0)) {
      this.#releaseLingering()
    }
    if (this.#ready.size === 0) return
    if (this.#circuit?.isOpen === true) return // `circuitChanged` goes on.
    if (!this.#link.isReady) {
      this.#link.connect()
      return
    }
    if (this.#host.settings.isIdempotent && !this.#host.identityReady()) return
    this.#pump()
  }

  #releaseLingering(): void {
    const lanes = this.#lingering
    this.#lingering = []
    for (const lane of lanes) {
      if (lane.home !== this) continue
      lane.isLingering = false
      lane.leaveSoon()
    }
  }

  #pump(): void {
    this.#turnBytes = 0
    while (this.#ready.size > 0 && this.#link.hasRoom && this.#circuit?.mayBegin !== false) {
      if (this.#turnBytes >= TURN_BYTES) return this.#scheduleTurn()
      const shipments = this.#load()
      if (shipments.length === 0) return
      this.#ship(shipments)
    }
  }

  /** The next batches, one per lane, finished and stamped. */
  #load(): Shipment[] {
    const shipments: Shipment[] = []
    const request = ++this.#requests
    let bytes = 0
    for (let lane = this.#ready.pop(); lane !== undefined; lane = this.#ready.pop()) {
      if (lane.home !== this) continue // It moved: its flags belong to its new home.
      lane.isQueued = false
      if (lane.lastRequest === request) continue // It goes on below, when this request is complete.
      if (!lane.canSend()) {
        this.#offer(lane)
        continue
      }
      lane.closeGateAfterSilence(SURE_MEMORY_MS)
      const batch = lane.take()
      if (batch === null || !this.#finish(lane, batch)) {
        if (lane.canSend()) this.#push(lane) // What stands behind a batch that had to be failed.
        continue
      }
      if (shipments.length > 0 && bytes + batch.wireBytes > REQUEST_BYTES) {
        lane.putBack(batch)
        this.#push(lane)
        break
      }
      if (this.#host.settings.isIdempotent && !this.#isSafe(lane, batch)) continue
      if (this.#host.settings.isIdempotent && !batch.isStamped && !this.#stamp(lane, batch)) continue
      bytes += batch.wireBytes
      this.#turnBytes += batch.plainBytes
      lane.window.towards(this.brokerId, lane.leaderEpoch)
      lane.sending(batch)
      lane.lastRequest = request
      shipments.push({ lane, batch, leaderEpoch: lane.leaderEpoch })
      if (this.#turnBytes >= TURN_BYTES) break
    }
    // What a lane has left goes into the next request: the same partition twice in one request loses the first.
    for (const { lane } of shipments) this.#offer(lane)
    return shipments
  }

  /** False: the log has to hear of its numbers first, and offers the lane again when it has. */
  #stamp(lane: Lane, batch: Batch): boolean {
    this.#host.stamp(lane, batch)
    if (lane.isReleased(batch)) return true
    lane.putBack(batch)
    return false
  }

  /**
   * What the broker may forget goes alone, with nothing behind it until it is acknowledged, and in doubt it is looked
   * for before it goes again.
   */
  #isSafe(lane: Lane, batch: Batch): boolean {
    if (!isForgettable(batch, this.#host.clock.now())) return true
    if (lane.window.inFlight > 0) {
      lane.putBack(batch) // The answer that is awaited offers the lane again.
      return false
    }
    if (batch.isDoubtful && batch.isStamped && !batch.isLookedFor) {
      this.#host.lookFor(lane, batch)
      return false
    }
    lane.window.close()
    return true
  }

  #push(lane: Lane): void {
    lane.isQueued = true
    lane.queueKey = lane.nextKey()
    this.#ready.push(lane)
  }

  /** True when the batch is in wire form; false when a codec works on it or it had to be failed. */
  #finish(lane: Lane, batch: Batch): boolean {
    if (batch.isFinished) return true
    try {
      const working = finishBatch(batch, lane.compression, lane.compressionHistory, this.#host.memory)
      if (working === null) return true
      lane.isFinishing = true
      void working.then(
        () => this.#codecDone(lane, batch, null),
        (error: unknown) => this.#codecDone(lane, batch, error as MQError),
      )
    } catch (error) {
      this.#host.unsendable(lane, batch, error as MQError)
    }
    return false
  }

  #codecDone(lane: Lane, batch: Batch, error: MQError | null): void {
    lane.isFinishing = false
    if (batch.outcome === null) {
      if (error !== null) this.#host.unsendable(lane, batch, error)
      else lane.putBack(batch)
    }
    lane.runIfQuiet()
    if (lane.canSend()) lane.home?.enqueue(lane)
  }

  #ship(shipments: readonly Shipment[]): void {
    const { acks, requestTimeoutMs } = this.#host.settings
    const version = this.#versionFor(shipments)
    const body: RequestOf<typeof Produce> = {
      transactionalId: null,
      acks,
      timeoutMs: requestTimeoutMs,
      topicData: topicsOf(shipments, version >= FIRST_VERSION_BY_ID),
    }
    this.#inFlightRequests++
    this.#host.counters.requests++
    const attempt = this.#circuit?.begin() ?? 0
    if (acks === 0) {
      this.#link.send(Produce, body, { version }).then(
        () => this.#taken(shipments, attempt),
        (error: unknown) => this.#failed(shipments, attempt, error),
      )
      return
    }
    const sentAtMs = this.#host.observations === null ? 0 : this.#host.clock.monotonicMs()
    this.#link.request(Produce, body, { version, limitMs: requestTimeoutMs }).then(
      (response) => this.#answered(shipments, attempt, response, sentAtMs),
      (error: unknown) => this.#failed(shipments, attempt, error),
    )
  }

  #versionFor(shipments: readonly Shipment[]): number {
    const version = this.#link.versionOf(Produce)
    const hasAllIds = shipments.every(({ lane }) => lane.topicId !== ZERO_UUID)
    return version >= FIRST_VERSION_BY_ID && !hasAllIds ? FIRST_VERSION_BY_ID - 1 : version
  }

  #taken(shipments: readonly Shipment[], attempt: number): void {
    this.#inFlightRequests--
    for (const shipment of shipments) {
      shipment.lane.ended(shipment.batch)
      this.#host.taken(shipment)
    }
    this.#circuit?.answered(attempt)
    this.#after(shipments)
  }

  #answered(shipments: readonly Shipment[], attempt: number, response: ProduceAnswer, sentAtMs: number): void {
    this.#inFlightRequests--
    const { observations, clock } = this.#host
    observations?.requestSeconds.observe((clock.monotonicMs() - sentAtMs) / 1000)
    const answers = answersOf(shipments, response)
    for (const [index, shipment] of shipments.entries()) {
      // One after the other: what an answer causes (a move, the end of the producer) must find the others in flight.
      shipment.lane.ended(shipment.batch)
      const answer = answers[index]
      if (answer !== undefined) this.#host.answered(shipment, answer, response, this.brokerId)
      else this.#host.unanswered(shipment, missingAnswer(shipment, this.brokerId))
    }
    this.#circuit?.answered(attempt)
    this.#after(shipments)
  }

  #failed(shipments: readonly Shipment[], attempt: number, cause: unknown): void {
    this.#inFlightRequests--
    const error = findMQError(cause) ?? unexpected(cause)
    for (const shipment of shipments) {
      shipment.lane.ended(shipment.batch)
      this.#host.unanswered(shipment, error)
    }
    this.#circuit?.unanswered(attempt, error)
    this.#after(shipments)
  }

  #after(shipments: readonly Shipment[]): void {
    for (const { lane } of shipments) {
      lane.runIfQuiet()
      if (lane.home === this) this.enqueue(lane)
    }
    this.#scheduleTurn()
  }
}

/** Shipments grouped by topic, in their order. */
function topicsOf(shipments: readonly Shipment[], byId: boolean): TopicData[] {
  const topics = new Map<string, TopicData & { partitionData: object[] }>()
  for (const { lane, batch } of shipments) {
    let topic = topics.get(lane.topic)
    if (topic === undefined) {
      topic = byId ? { topicId: lane.topicId, partitionData: [] } : { name: lane.topic, partitionData: [] }
      topics.set(lane.topic, topic)
    }
    topic.partitionData.push({ index: lane.partition, records: batch.wire() })
  }
  return [...topics.values()]
}

/** The answer of each shipment; the first one counts where a broker repeats itself. */
function answersOf(shipments: readonly Shipment[], response: ProduceAnswer): (PartitionAnswer | undefined)[] {
  const answers = new Array<PartitionAnswer | undefined>(shipments.length).fill(undefined)
  let expected = 0 // Brokers answer in the order of the request: the search almost always ends at once.
  for (const topic of response.responses) {
    for (const partition of topic.partitionResponses) {
      for (let tries = 0; tries < shipments.length; tries++) {
        const at = (expected + tries) % shipments.length
        const { lane } = shipments[at] as Shipment
        const isTopic = topic.name === lane.topic || (topic.name === '' && topic.topicId === lane.topicId)
        if (lane.partition !== partition.index || !isTopic) continue
        answers[at] ??= partition
        expected = at + 1
        break
      }
    }
  }
  return answers
}

function missingAnswer({ lane }: Shipment, brokerId: number): MQError {
  const { topic, partition } = lane
  return new MQError(
    'CONNECTION_CLOSED',
    `broker ${brokerId} answered a produce request without ${topic}-${partition}`,
    {
      topic,
      partition,
      brokerId,
      wasSent: 'possibly',
    },
  )
}

function unexpected(cause: unknown): MQError {
  return new MQError('CONNECTION_CLOSED', 'a produce request ended unexpectedly', { wasSent: 'possibly' }, { cause })
}
