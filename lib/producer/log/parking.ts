/**
 * Lanes about whose next batch nobody can decide, and what the policy says of it (`wal.onAmbiguous`).
 * Why a lane and not a batch: what stands behind it must not overtake it. New records are logged all the while.
 * Source: wal.md 1.3.
 */
import type { WalSettings } from '../../config/index.js'
import { MQError } from '../../errors/index.js'
import { failure } from '../answers.js'
import type { Batch } from '../batch.js'
import type { Lane } from '../lane.js'
import { innerMap } from './inner-map.js'
import type { LogHost } from './log-host.js'
import type { EdgeCase, HeldStream, WalEdge } from './resolution/types.js'

interface Parked extends HeldStream {
  readonly lane: Lane
  readonly batch: Batch
}

interface ParkingEvents {
  edge(edge: WalEdge): void
  held(held: HeldStream): void
}

/** What becomes of an ambiguous batch. */
export type Ruling = 'held' | 'dropped' | 'resent'

const RULINGS = { hold: 'held', drop: 'dropped', resend: 'resent' } as const

export class Parking {
  readonly #host: LogHost
  readonly #settings: Pick<WalSettings, 'onAmbiguous' | 'allowRetarget'>
  readonly #events: ParkingEvents
  readonly #parked = new Map<Lane, Parked>()
  readonly #edges = new Map<string, Map<string, number>>()
  incarnationId = ''

  constructor(host: LogHost, settings: Pick<WalSettings, 'onAmbiguous' | 'allowRetarget'>, events: ParkingEvents) {
    this.#host = host
    this.#settings = settings
    this.#events = events
  }

  get streams(): readonly HeldStream[] {
    return [...this.#parked.values()].map(({ topic, partition, case: edge, records }) => ({
      topic,
      partition,
      case: edge,
      records,
    }))
  }

  /** Nobody knows whether `batch`, the head of its lane, was written: counted, told, and ruled by the policy. */
  rule(lane: Lane, batch: Batch, edge: EdgeCase): Ruling {
    const ruling = RULINGS[this.#settings.onAmbiguous]
    this.#report(lane, batch, edge, ruling)
    if (ruling === 'held') this.#park(lane, batch, edge)
    return ruling
  }

  /** The topic takes nothing of what the log keeps: it was deleted, or made anew (E6). */
  refused(lane: Lane, error: MQError): void {
    const { head } = lane
    if (head === undefined || this.#parked.has(lane)) return
    this.#host.warn(error)
    const isMadeAnew = error.context.topicId !== undefined
    if (isMadeAnew && this.#settings.allowRetarget) return this.#report(lane, head, 'E6', 'resent')
    this.#report(lane, head, 'E6', 'held')
    this.#park(lane, head, 'E6')
  }

  #park(lane: Lane, batch: Batch, edge: EdgeCase): void {
    const { topic, partition } = lane
    const held = { topic, partition, case: edge, records: batch.records }
    lane.isParked = true
    this.#parked.set(lane, { ...held, lane, batch })
    this.#events.held(held)
  }

  #report(lane: Lane, batch: Batch, edge: EdgeCase, action: Ruling): void {
    const { topic, partition } = lane
    const { firstPosition, records } = batch
    const topics = innerMap(this.#edges, edge)
    topics.set(topic, (topics.get(topic) ?? 0) + records)
    this.#events.edge({
      case: edge,
      topic,
      partition,
      incarnationId: this.incarnationId,
      firstPosition,
      lastPosition: firstPosition + records - 1,
      records,
      status: 'possibly-persisted',
      action,
    })
  }

  /** An operator's word; false: this lane is not held here. */
  resolve(topic: string, partition: number, action: 'drop' | 'resend'): boolean {
    for (const [lane, { batch, case: edge }] of this.#parked) {
      if (lane.topic !== topic || lane.partition !== partition) continue
      this.#parked.delete(lane)
      lane.isParked = false
      this.#report(lane, batch, edge, action === 'drop' ? 'dropped' : 'resent')
      // A topic that takes nothing takes nothing of what stands behind either; what is for its successor is another's.
      const isSame = (one: Batch) => one.isAccepted && one.stream === batch.stream
      const concerned = edge === 'E6' ? lane.pendingBatches.filter(isSame) : [batch]
      for (const one of concerned) {
        if (one.outcome !== null) continue
        one.isDoubtful = false
        if (action === 'resend') continue
        lane.withdraw(one)
        lane.settle(one, failure(dropped(lane, one)))
      }
      this.#host.renew(lane)
      lane.home?.enqueue(lane)
      return true
    }
    return false
  }

  /** By case and topic, together with those of the resolution. */
  edgesWith(
    others: ReadonlyMap<string, ReadonlyMap<string, number>>,
  ): ReadonlyMap<string, ReadonlyMap<string, number>> {
    const all = new Map([...others].map(([edge, topics]) => [edge, new Map(topics)]))
    for (const [edge, topics] of this.#edges) {
      const sum = all.get(edge) ?? new Map<string, number>()
      for (const [topic, records] of topics) sum.set(topic, (sum.get(topic) ?? 0) + records)
      all.set(edge, sum)
    }
    return all
  }
}

function dropped({ topic, partition }: Lane, batch: Batch): MQError {
  const text = `${batch.records} record(s) for ${topic}-${partition} whose fate nobody knows were dropped, as was decided`
  const context = { reason: 'DROPPED', topic, partition, persistence: 'possibly-persisted' } as const
  return new MQError('PRODUCE_FAILED', text, context)
}
