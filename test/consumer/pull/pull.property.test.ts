/**
 * CO-4, CO-9: whoever pulls, in whatever order, and whatever happens to the partitions meanwhile: per partition each
 * record comes in log order, nothing is skipped, nothing repeated but what was given back, and the position covers
 * exactly what was counted.
 * A course is a list of steps; the model knows only offsets, readers and the rule that asking counts.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOLD, type PartitionCursor } from '../../../lib/consumer/cursor.js'
import { controlBatch, storedBatch } from '../batches.js'
import { PullStage, place, turns } from './stage.js'

const PARTITIONS = 3

interface LogBatch {
  readonly base: number
  readonly count: number // 0: a control batch
  readonly next: number
}

type Shape = { readonly count: number; readonly gap: number }

type Step =
  | { readonly do: 'feed'; readonly p: number; readonly opensLater: boolean }
  | { readonly do: 'read'; readonly times: number }
  | { readonly do: 'batch'; readonly max: number }
  | { readonly do: 'next'; readonly i: number }
  | { readonly do: 'return'; readonly i: number }
  | { readonly do: 'seek'; readonly p: number; readonly to: number }
  | { readonly do: 'pause' | 'resume' | 'revoke' | 'rewind'; readonly p: number }
  | { readonly do: 'time' }

const p = fc.nat(PARTITIONS - 1)
const i = fc.nat(1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('feed' as const), p, opensLater: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), times: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('batch' as const), max: fc.integer({ min: 1, max: 7 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('next' as const), i }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('return' as const), i }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('seek' as const), p, to: fc.nat(15) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const), p }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'rewind' as const), p }) },
  { weight: 1, arbitrary: fc.constant({ do: 'time' as const }) },
)
const log = fc.array(fc.record({ count: fc.nat(4), gap: fc.nat(2) }), { minLength: 3, maxLength: 10 })

function logOf(shapes: readonly Shape[]): LogBatch[] {
  let base = 0
  return shapes.map(({ count, gap }) => {
    const batch = { base, count, next: base + Math.max(1, count) + (count === 0 ? 0 : gap) }
    base = batch.next
    return batch
  })
}

type Placed = { readonly partition: number; readonly offset: number }

/** What one partition should do, in offsets alone. */
interface Model {
  next: number // the next offset to hand out is at or behind it
  position: number // counted
  lineage: number
  open: { readonly reader: string; readonly lineage: number; end: number } | null
}

class Course {
  readonly stage = new PullStage(3)
  readonly cursors: PartitionCursor[]
  readonly models: Model[]
  readonly logs: LogBatch[][]
  readonly iterators = [this.stage.puller.iterate(), this.stage.puller.iterate()]
  readonly story: string[] = []
  problem: string | null = null
  #iteratorCount = 2
  readonly #names = ['loop0', 'loop1']
  readonly #calls = new Map<string, Promise<void>>()

  constructor(shapes: readonly (readonly Shape[])[]) {
    this.logs = shapes.map(logOf)
    this.cursors = shapes.map((_, partition) => this.stage.cursor(partition))
    this.models = shapes.map(() => ({ next: 0, position: 0, lineage: 0, open: null }))
  }

  async take(step: Step): Promise<void> {
    this.story.push(JSON.stringify(step))
    this.#do(step)
    await turns(100)
    this.#check()
  }

  #do(step: Step): void {
    if (step.do === 'feed') this.feed(step.p, step.opensLater)
    else if (step.do === 'read') this.read(step.times)
    else if (step.do === 'batch') this.batch(step.max)
    else if (step.do === 'next') this.#next(step.i)
    else if (step.do === 'return') this.#return(step.i)
    else if (step.do === 'time') this.stage.clock.advance(50)
    else if (step.do === 'seek') this.#disturb(step.do, step.p, step.to)
    else this.#disturb(step.do, step.p, 0)
  }

  feed(partition: number, opensLater: boolean): void {
    const cursor = this.cursors[partition] as PartitionCursor
    const batch = this.logs[partition]?.find(({ next }) => next > cursor.fetchOffset)
    if (batch === undefined || cursor.fetchOffset < 0) return
    if (opensLater) openLater(cursor)
    const values = Array.from({ length: batch.count }, (_, index) => String(batch.base + index))
    const bytes =
      batch.count === 0
        ? controlBatch(batch.base, 'commit', 7n)
        : storedBatch({ baseOffset: batch.base, values, lastOffset: batch.next - 1 })
    cursor.fetchOffset = batch.next
    this.stage.push(cursor, bytes)
  }

  read(times: number): void {
    this.#asks('calls')
    for (let time = 0; time < times; time++) {
      const read = this.stage.puller.read({ timeoutMs: 20 })
      this.#follow('calls', read, (record) => (record === null ? [] : [record]))
    }
  }

  batch(max: number): void {
    this.#asks('calls')
    this.#follow('calls', this.stage.puller.readBatch(max, { timeoutMs: 20 }), (records) => {
      if (records.length > max) this.#say(`${records.length} records for ${max}`)
      return records
    })
  }

  #next(index: number): void {
    const name = this.#names[index] as string
    this.#asks(name)
    const next = (this.iterators[index] as AsyncIterator<Placed, undefined>).next()
    this.#follow(name, next, ({ value }) => (value === undefined ? [] : [value]))
  }

  /** Calls of one reader are looked at in the order they were made, whichever promise settles first. */
  #follow<T>(reader: string, call: Promise<T>, recordsOf: (result: T) => readonly Placed[]): void {
    call.catch(() => {})
    const before = this.#calls.get(reader) ?? Promise.resolve()
    const followed = before.then(() => call).then((result) => this.#got(reader, recordsOf(result)), this.#failed)
    this.#calls.set(reader, followed)
  }

  #return(index: number): void {
    const name = this.#names[index] as string
    for (const model of this.models) {
      if (model.open?.reader !== name) continue
      if (model.open.lineage === model.lineage) model.next = model.position
      model.open = null
    }
    void this.iterators[index]?.return?.()
    this.stage.clock.runDeferred()
    this.iterators[index] = this.stage.puller.iterate()
    this.#names[index] = `loop${this.#iteratorCount++}`
  }

  #disturb(what: 'seek' | 'pause' | 'resume' | 'revoke' | 'rewind', partition: number, to: number): void {
    const cursor = this.cursors[partition] as PartitionCursor
    const model = this.models[partition] as Model
    if (what === 'pause') cursor.hold(HOLD.paused)
    else if (what === 'rewind') cursor.rewind()
    else if (what === 'resume') {
      cursor.release(HOLD.paused)
      this.stage.sink.enqueue(cursor)
      this.stage.sink.pump()
    } else if (what === 'seek') {
      cursor.moveTo(to)
      Object.assign(model, { next: to, position: to, lineage: model.lineage + 1 })
    } else {
      cursor.hold(HOLD.revoked)
      cursor.moveTo(cursor.position)
      const anew = this.stage.cursor(partition)
      anew.moveTo(cursor.position)
      this.cursors[partition] = anew
      Object.assign(model, { next: cursor.position, position: cursor.position, lineage: model.lineage + 1, open: null })
    }
  }

  #asks(reader: string): void {
    for (const model of this.models) {
      if (model.open?.reader !== reader) continue
      if (model.open.lineage === model.lineage) model.position = model.open.end
      model.open = null
    }
  }

  #got(reader: string, records: readonly Placed[]): void {
    for (const record of records) {
      const model = this.models[record.partition] as Model
      const expected = this.#firstFrom(record.partition, model.next)
      this.story.push(`  ${reader} got ${place(record)}`)
      if (record.offset !== expected) this.#say(`${reader} got ${place(record)}, expected offset ${expected}`)
      if (this.cursors[record.partition]?.isPaused) this.#say(`${place(record)} of a paused partition`)
      if (model.open !== null && (model.open.reader !== reader || model.open.lineage !== model.lineage))
        this.#say(`${place(record)} for ${reader} while ${model.open.reader} has an open record`)
      model.next = record.offset + 1
      model.open = { reader, lineage: model.lineage, end: record.offset + 1 }
    }
  }

  /** The first record of the log from `offset` on; -1: none. */
  #firstFrom(partition: number, offset: number): number {
    for (const { base, count } of this.logs[partition] as LogBatch[])
      for (let at = base; at < base + count; at++) if (at >= offset) return at
    return -1
  }

  #check(): void {
    for (const [partition, model] of this.models.entries()) {
      const { position } = this.cursors[partition] as PartitionCursor
      const first = this.#firstFrom(partition, model.position)
      if (position < model.position || (first >= 0 && position > first))
        this.#say(`position of ${partition} is ${position}, counted up to ${model.position}, next record ${first}`)
    }
    if (this.problem !== null) throw new Error(`${this.problem}\n${this.story.join('\n')}`)
  }

  #say(problem: string): void {
    this.problem ??= problem
  }

  readonly #failed = (error: unknown): void => this.#say(`a pull failed: ${String(error)}`)

  /** Nothing disturbs any more: everything must come and count. */
  async finish(): Promise<void> {
    for (const index of [0, 1]) await this.take({ do: 'return', i: index })
    for (let partition = 0; partition < PARTITIONS; partition++) await this.take({ do: 'resume', p: partition })
    for (let round = 0; round < 40; round++) {
      for (let partition = 0; partition < PARTITIONS; partition++)
        await this.take({ do: 'feed', p: partition, opensLater: round % 2 === 0 })
      await this.take({ do: 'batch', max: 7 })
      await this.take({ do: 'time' })
    }
    for (const [partition, model] of this.models.entries()) {
      const rest = this.#firstFrom(partition, model.position)
      if (rest >= 0) this.#say(`${partition}:${rest} never came`)
    }
    this.stage.sink.stop()
    this.#check()
    expect([this.stage.sink.waiting, this.stage.clock.pendingTimers, this.stage.sink.running]).toEqual([0, 0, 0])
  }
}

/** The next batch of the partition is opened some steps later, as a codec in the background would. */
function openLater(cursor: PartitionCursor): void {
  const { reader } = cursor
  const openNow = Object.getPrototypeOf(reader).openNext.bind(reader) as typeof reader.openNext
  reader.openNext = () => {
    const { generation } = cursor
    reader.openNext = openNow
    return Promise.resolve()
      .then(() => {})
      .then(() => {
        if (generation === cursor.generation && reader.hasData) void openNow()
      })
  }
}

describe('pulling', () => {
  it('CO-4, CO-9: order, completeness and position hold for every course', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(log, log, log),
        fc.array(step, { maxLength: 60, size: 'max' }),
        async (shapes, steps) => {
          const course = new Course(shapes)
          for (const one of steps) await course.take(one)
          await course.finish()
        },
      ),
      { numRuns: 300 },
    )
  }, 60_000)
})
