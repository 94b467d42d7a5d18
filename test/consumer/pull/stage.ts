/** A pull sink with readers that are filled by hand: no network, no broker, a clock that stands still. */
import { ConsumerCounters } from '../../../lib/consumer/counters.js'
import { PartitionCursor } from '../../../lib/consumer/cursor.js'
import { PullSink } from '../../../lib/consumer/pull/pull-sink.js'
import { Puller } from '../../../lib/consumer/pull/puller.js'
import type { MQError } from '../../../lib/errors/index.js'
import { type Clock, FakeClock } from '../../../lib/util/index.js'
import { numbered } from '../batches.js'

export class PullStage {
  readonly clock = new FakeClock()
  readonly counters = new ConsumerCounters()
  readonly sink: PullSink
  readonly puller: Puller<Buffer, Buffer>
  readonly unreadable: unknown[] = []
  readonly rewound: PartitionCursor[] = []
  failure: MQError | null = null
  isFed = true

  constructor(maxPollRecords = 10, clock?: Clock) {
    const hooks = {
      unreadable: (_cursor: PartitionCursor, error: unknown) => void this.unreadable.push(error),
      rewound: (cursor: PartitionCursor) => void this.rewound.push(cursor),
      failure: () => this.failure,
      isFed: () => this.isFed,
    }
    this.sink = new PullSink({ maxPollRecords, dedup: { enabled: false } }, hooks, this.counters, clock ?? this.clock)
    this.puller = new Puller(this.sink)
    this.sink.delivery() // Somebody pulls, even before there are partitions.
  }

  /** A partition of topic 't' that stands at 0, with so many records in one batch. */
  cursor(partition: number, records = 0): PartitionCursor {
    const settings = { copies: true, checkCrcs: true, keyDeserializer: undefined, valueDeserializer: undefined }
    const owner = { freed: () => {} }
    const made = new PartitionCursor('t', partition, this.sink.delivery(), settings, owner)
    made.moveTo(0)
    if (records > 0) this.feed(made, 0, records)
    return made
  }

  /** As an answer of a broker: one batch with the offsets `from` .. */
  feed(cursor: PartitionCursor, from: number, records: number): void {
    this.push(cursor, numbered(from, records))
    cursor.fetchOffset = from + records
  }

  push(cursor: PartitionCursor, bytes: Uint8Array): void {
    cursor.reader.push({ bytes, length: bytes.length, arrivedMs: 0, aborted: null })
    this.sink.enqueue(cursor)
    this.sink.pump()
  }
}

/** `partition:offset`, null as it is. */
export function place(record: { partition: number; offset: number } | null): string | null {
  return record === null ? null : `${record.partition}:${record.offset}`
}

/** What the promise has become after everything that is ready has run. */
export async function stateOf(promise: Promise<unknown>): Promise<'open' | 'fulfilled' | 'rejected'> {
  let state: 'open' | 'fulfilled' | 'rejected' = 'open'
  promise.then(
    () => {
      state = 'fulfilled'
    },
    () => {
      state = 'rejected'
    },
  )
  await turns()
  return state
}

export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}
