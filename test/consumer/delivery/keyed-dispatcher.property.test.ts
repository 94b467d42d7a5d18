/**
 * Any order of ends, failures, seeks, pauses and rewinds by key, against a plain model: per lineage (from seek to seek)
 * each record is processed once, a key in order and never beside itself, and the position stands at the first gap.
 */
import { describe, expect, it } from 'vitest'
import { type AnyRecord, type CallbackResult, HOLD, type PartitionCursor } from '../../../lib/consumer/cursor.js'
import { type Deferred, deferred, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import { storedBatch } from '../batches.js'
import { SinkStage } from '../sink-stage.js'

const CONCURRENCY = 4
const AHEAD = 8
const STEPS = 160

interface StoredBatch {
  readonly bytes: Buffer
  readonly offsets: readonly number[]
  readonly nextOffset: number
}

/** A log with gaps, as compaction leaves it. */
function makeLog(random: RandomSource): StoredBatch[] {
  const batches: StoredBatch[] = []
  for (let at = 0; at < 120; ) {
    const count = 1 + randomInt(random, 11)
    const keys = Array.from({ length: count }, () =>
      random.next() < 0.15 ? null : ('abcde'[randomInt(random, 5)] as string),
    )
    const nextOffset = at + count + (random.next() < 0.3 ? 1 + randomInt(random, 3) : 0)
    const spec = { baseOffset: at, values: keys.map(String), keys, lastOffset: nextOffset - 1 }
    const first = at
    batches.push({ bytes: storedBatch(spec), offsets: keys.map((_, index) => first + index), nextOffset })
    at = nextOffset
  }
  return batches
}

function keyTextOf(record: AnyRecord): string | null {
  return record.key === null ? null : String(record.key)
}

class Model {
  readonly cursor: PartitionCursor
  readonly open = new Map<
    string | null,
    { readonly offset: number; readonly lineage: number; readonly done: Deferred<undefined> }
  >()
  lineage = 0
  start = 0
  processed = new Set<number>()
  lastOfKey = new Map<string | null, number>()
  readonly #stage: SinkStage
  readonly #log: readonly StoredBatch[]
  readonly #random: RandomSource
  #violation: unknown = null
  readonly #failed = new Map<number, number>() // attempts that failed, by offset

  constructor(stage: SinkStage, partition: number, random: RandomSource) {
    this.#stage = stage
    this.#random = random
    this.#log = makeLog(random)
    this.cursor = stage.perRecord(partition, (record) => {
      this.#judge(record)
      return this.#take(record)
    })
  }

  get offsets(): number[] {
    return this.#log.flatMap(({ offsets }) => offsets)
  }

  /** As the fetcher does: what lies behind `fetchOffset`. */
  feed(batches: number): void {
    for (const { bytes, nextOffset } of this.#log
      .filter((batch) => batch.nextOffset > this.cursor.fetchOffset)
      .slice(0, batches)) {
      this.cursor.fetchOffset = nextOffset
      this.#stage.push(this.cursor, bytes)
    }
  }

  seek(offset: number): void {
    this.cursor.moveTo(offset)
    this.lineage++
    this.start = offset
    this.processed = new Set()
    this.lastOfKey = new Map()
    this.#failed.clear()
  }

  /** What a callback throws is a failed record to the dispatcher: a violation is kept, and told by `check`. */
  #judge(record: AnyRecord): void {
    try {
      this.#expectNext(record)
    } catch (error) {
      this.#violation ??= error
    }
  }

  #expectNext(record: AnyRecord): void {
    const key = keyTextOf(record)
    const { offset } = record
    expect(this.open.has(key), `key ${key} runs beside itself at ${offset}`).toBe(false)
    expect(this.processed.has(offset), `${offset} came twice`).toBe(false)
    expect(offset).toBeGreaterThanOrEqual(this.start)
    const last = this.lastOfKey.get(key) ?? -1
    const isRetry = last === offset && (this.#failed.get(offset) ?? 0) > 0
    if (!isRetry) expect(offset, `key ${key} after ${last}`).toBeGreaterThan(last)
    const waiting = this.offsets.filter((other) => other >= this.cursor.position && other < offset).length
    expect(waiting, `${offset} is too far ahead of ${this.cursor.position}`).toBeLessThan(AHEAD)
  }

  #take(record: AnyRecord): CallbackResult {
    const key = keyTextOf(record)
    const { offset } = record
    this.lastOfKey.set(key, offset)
    const chance = this.#random.next()
    if (chance < 0.1) {
      this.fail(offset)
      throw new Error('at once')
    }
    if (chance < 0.35) {
      this.processed.add(offset)
      return undefined
    }
    const done = deferred<undefined>()
    this.open.set(key, { offset, lineage: this.lineage, done })
    return done.promise
  }

  /** One retry, then the record is skipped: processed. */
  fail(offset: number): void {
    const attempts = (this.#failed.get(offset) ?? 0) + 1
    this.#failed.set(offset, attempts)
    if (attempts > 1) this.processed.add(offset)
  }

  end(index: number, fails: boolean): void {
    const key = [...this.open.keys()][index] as string | null
    const { offset, lineage, done } = this.open.get(key) as NonNullable<ReturnType<typeof this.open.get>>
    this.open.delete(key)
    const counts = lineage === this.lineage
    if (fails) {
      if (counts) this.fail(offset)
      done.reject(new Error('later'))
    } else {
      if (counts) this.processed.add(offset)
      done.resolve(undefined)
    }
  }

  check(): void {
    if (this.#violation !== null) throw this.#violation
    const { position, isBusy } = this.cursor
    const ours = this.offsets.filter((offset) => offset >= this.start)
    const gap = ours.findIndex((offset) => !this.processed.has(offset))
    const done = gap < 0 ? ours : ours.slice(0, gap)
    expect(position, 'the position passes nothing that is not processed').toBeLessThanOrEqual(
      gap < 0 ? position : (ours[gap] as number),
    )
    expect(position, 'and stands behind all that is').toBeGreaterThanOrEqual((done.at(-1) ?? this.start - 1) + 1)
    expect(isBusy).toBe(this.open.size > 0)
  }
}

async function play(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const config = {
    concurrencyBy: 'key',
    concurrency: CONCURRENCY,
    maxPollRecords: AHEAD,
    errorRetries: 1,
    errorFinal: 'skip',
  } as const
  const stage = new SinkStage({ config })
  const models = [new Model(stage, 0, random), new Model(stage, 1, random)]
  const check = async () => {
    await stage.turn()
    expect(models[0]!.open.size + models[1]!.open.size).toBe(stage.sinks.callbacks.running)
    expect(stage.sinks.callbacks.running).toBeLessThanOrEqual(CONCURRENCY)
    for (const model of models) model.check()
  }
  for (let step = 0; step < STEPS; step++) {
    const model = models[randomInt(random, 2)] as Model
    const chance = random.next()
    if (chance < 0.25) model.feed(1 + randomInt(random, 3))
    else if (chance < 0.75 && model.open.size > 0) model.end(randomInt(random, model.open.size), random.next() < 0.2)
    else if (chance < 0.85) stage.clock.advance(1 + randomInt(random, 119))
    else if (chance < 0.88) model.seek(model.offsets[randomInt(random, model.offsets.length)] as number)
    else if (chance < 0.92) model.cursor.rewind()
    else if (chance < 0.95) model.cursor.hold(HOLD.paused)
    else {
      model.cursor.release(HOLD.paused)
      stage.sinks.callbacks.enqueue(model.cursor)
    }
    await check()
  }
  for (const { cursor } of models) {
    cursor.release(HOLD.paused)
    stage.sinks.callbacks.enqueue(cursor)
  }
  for (
    let round = 0;
    round < 2_000 &&
    models.some((model) => model.offsets.some((offset) => offset >= model.start && !model.processed.has(offset)));
    round++
  ) {
    for (const model of models) {
      model.feed(3)
      if (model.open.size > 0) model.end(0, false)
    }
    stage.clock.advance(5_000)
    await check()
  }
  for (const model of models) {
    expect(model.cursor.position, 'everything was processed').toBeGreaterThan(model.offsets.at(-1) as number)
  }
}

describe('KeyedDispatcher', () => {
  it('CO-9, CO-14: keys in order, never beside themselves, the position at the first gap, each record once', async () => {
    const only = Number(process.env.SEED ?? 0)
    for (let seed = only || 1; seed <= (only || 40); seed++) {
      await play(seed).catch((error: unknown) => {
        const text = `seed ${seed}; replay: SEED=${seed} npx vitest run test/consumer/keyed-dispatcher.property.test.ts`
        throw new Error(`${text}\n${error instanceof Error ? error.message : String(error)}`, { cause: error })
      })
    }
  })
})
