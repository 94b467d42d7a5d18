/** One stream as the log knows it: its facts, its unsettled entries, what is settled out of order. */
import type { AckedIdentity, Entry, StreamFacts } from '../types.js'
import { EntryList } from './entry-list.js'
import { SettledRanges } from './settled-ranges.js'

/** Sequence numbers are 31 bits and wrap. */
const SEQUENCE_MASK = 0x7fff_ffff
/** More identities than this are looked through for ones that nobody needs any more. */
const ACKED_KEPT = 8

export class StreamTable implements StreamFacts {
  readonly id: number
  readonly topic: string
  topicId: string
  readonly partition: number
  nextPosition = 0
  settledThrough = 0
  lastAckedOffset = -1
  acked: AckedIdentity[] = []
  readonly entries = new EntryList()
  readonly settled = new SettledRanges()

  constructor(id: number, topic: string, topicId: string, partition: number) {
    this.id = id
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
  }

  /** Positions from..to have an outcome now; gives how many had none. */
  settle(from: number, to: number): number {
    const count = this.settled.add(from, to)
    this.settledThrough = this.settled.through
    return count
  }

  /** All of `entry` is in the broker's log. */
  acknowledged(entry: Entry): void {
    const last = (entry.baseSequence + entry.count - 1) & SEQUENCE_MASK
    this.mergeAcked(entry.producerId, entry.epoch, last, entry.maxTimestampMs)
  }

  /** What a CHECKPOINT says was acknowledged. */
  mergeAcks({ lastAckedOffset, acked }: StreamFacts): void {
    if (lastAckedOffset > this.lastAckedOffset) this.lastAckedOffset = lastAckedOffset
    for (const { producerId, epoch, lastAckedSequence, maxTimestampMs } of acked) {
      this.mergeAcked(producerId, epoch, lastAckedSequence, maxTimestampMs)
    }
  }

  /** Acknowledgements of one identity come in order (wal.md C4): the later one counts. */
  mergeAcked(producerId: bigint, epoch: number, lastAckedSequence: number, maxTimestampMs: number): void {
    for (let index = this.acked.length - 1; index >= 0; index--) {
      const acked = this.acked[index] as AckedIdentity
      if (acked.producerId !== producerId || acked.epoch !== epoch) continue
      acked.lastAckedSequence = lastAckedSequence
      acked.maxTimestampMs = maxTimestampMs
      return
    }
    this.acked.push({ producerId, epoch, lastAckedSequence, maxTimestampMs })
  }

  /** Forgets acknowledgements of identities that no unsettled entry has: nothing will be resolved by them. */
  forgetAcked(): void {
    if (this.acked.length <= ACKED_KEPT) return
    const newest = this.acked[this.acked.length - 1] as AckedIdentity
    const needed = new Set(this.entries.all().map((entry) => `${entry.producerId} ${entry.epoch}`))
    this.acked = this.acked.filter((acked) => acked === newest || needed.has(`${acked.producerId} ${acked.epoch}`))
  }
}
