/**
 * CH-17: random lives of a channel that spills: writes that throw, writes that wait, reads, leases, a log that is slow, full,
 * damaged or cannot drop, restarts. Checked at every step: written = read + dropped + discarded + pending, the budget, the
 * log's contract; at the end: every record that was taken came out once and in the order of writing.
 */
import { describe, expect, it } from 'vitest'
import { ByteChannel, type Chunk, ItemChannel } from '../../../lib/channel/index.js'
import type { MQError } from '../../../lib/errors/index.js'
import { FakeClock, type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import { FakeSpillLog } from './fake-log.js'

const SEED = Number(process.env.SEED ?? 20_261_123)
const RUNS = Number(process.env.RUNS ?? 250)
const STEPS = 120
const LIMIT = 2_000

type Payload = Buffer

/** One kind under test, by numbered payloads. */
interface Subject {
  readonly channel: ByteChannel | ItemChannel<Payload>
  write(payload: Payload): boolean
  writeAsync(payload: Payload, timeoutMs: number): Promise<boolean>
  tryRead(): { readonly n: number; readonly release: () => void } | undefined
}

function subjectOf(isItems: boolean, random: RandomSource, clock: FakeClock, spillLog: FakeSpillLog): Subject {
  const base = { clock, spillLog, onFull: 'spill', windowMs: 50, maxRecords: 1 + randomInt(random, 20) } as const
  if (isItems) {
    const channel = new ItemChannel<Payload>({
      ...{ ...base, bufferMemoryBytes: LIMIT, sizeOf: ({ length }) => length },
      codec: { encode: (item) => item, decode: (bytes) => Buffer.from(bytes) },
    })
    return {
      channel,
      write: (payload) => channel.write(payload),
      writeAsync: (payload, timeoutMs) => channel.writeAsync(payload, { timeoutMs }),
      tryRead: () => {
        const item = channel.tryRead()
        return item === undefined ? undefined : { n: numberOf(item), release: () => {} }
      },
    }
  }
  const channel = new ByteChannel({ ...base, bufferMemoryBytes: LIMIT, readMode: 'zeroCopy' })
  return {
    channel,
    write: (payload) => channel.write(payload),
    writeAsync: (payload, timeoutMs) => channel.writeAsync(payload, { timeoutMs }),
    tryRead: () => {
      const chunk: Chunk | undefined = channel.tryRead()
      return chunk === undefined ? undefined : { n: numberOf(chunk.bytes), release: () => chunk.release() }
    },
  }
}

function payloadOf(n: number, bytes: number): Payload {
  const payload = Buffer.alloc(bytes, n & 0xff)
  payload.writeUInt32BE(n)
  return payload
}

function numberOf(bytes: Uint8Array): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const n = view.readUInt32BE(0)
  if (!view.subarray(4).every((byte) => byte === (n & 0xff))) throw new Error(`record ${n} was altered`)
  return n
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

class Life {
  readonly random: RandomSource
  readonly clock = new FakeClock()
  readonly log: FakeSpillLog
  readonly story: string
  readonly isItems: boolean
  subject: Subject
  next = 0
  /** Numbers that were taken, in the order they were; null: not decided, it waits. */
  readonly taken: { readonly n: number; fate: 'taken' | 'refused' | 'waits' }[] = []
  readonly found: number[] = []
  readonly held: (() => void)[] = []
  readonly waiting: Promise<unknown>[] = []
  discarded = new Set<number>()

  constructor(seed: number) {
    this.story = `SEED=${seed} RUNS=1`
    this.random = seededRandom(seed)
    this.isItems = randomInt(this.random, 2) === 0
    this.log = new FakeSpillLog({
      maxRecords: 5 + randomInt(this.random, 60),
      isPrompt: randomInt(this.random, 2) === 0,
    })
    this.subject = subjectOf(this.isItems, this.random, this.clock, this.log)
  }

  get channel() {
    return this.subject.channel
  }

  async step(): Promise<void> {
    const roll = randomInt(this.random, 100)
    if (roll < 40) this.write()
    else if (roll < 50) this.writeAsync()
    else if (roll < 70) this.read(1 + randomInt(this.random, 12))
    else if (roll < 76) this.release(randomInt(this.random, 5))
    else if (roll < 82) this.log.answer()
    else if (roll < 84) this.log.refuse()
    else if (roll < 85) this.log.failShifts = 1
    else if (roll < 89) this.log.tellRoom()
    else if (roll < 93) this.clock.advance(randomInt(this.random, 3) * 500)
    else if (roll < 99) await settle()
    else await this.restart()
    this.check()
  }

  write(): void {
    const n = this.next++
    try {
      this.subject.write(this.payload(n))
      this.taken.push({ n, fate: 'taken' })
    } catch (error) {
      expect((error as MQError).code, this.story).toMatch(/POOL_EXHAUSTED|MESSAGE_TOO_LARGE/)
    }
  }

  writeAsync(): void {
    const write: Life['taken'][number] = { n: this.next++, fate: 'waits' }
    this.taken.push(write)
    const timeoutMs = 200 * (1 + randomInt(this.random, 10))
    const done = this.subject.writeAsync(this.payload(write.n), timeoutMs).then(
      () => {
        ;(write as { fate: string }).fate = 'taken'
      },
      (error: MQError) => {
        expect(error.code, this.story).toMatch(/TIMEOUT|MESSAGE_TOO_LARGE|PRODUCER_CLOSED/)
        ;(write as { fate: string }).fate = 'refused'
      },
    )
    this.waiting.push(done)
  }

  payload(n: number): Payload {
    const isLarge = randomInt(this.random, 12) === 0
    return payloadOf(n, 4 + randomInt(this.random, isLarge ? LIMIT + 100 : 200))
  }

  read(most: number): void {
    for (let count = 0; count < most; count++) {
      const record = this.subject.tryRead()
      if (record === undefined) return
      this.found.push(record.n)
      if (randomInt(this.random, 4) > 0) record.release()
      else this.held.push(record.release)
    }
  }

  release(count: number): void {
    for (const release of this.held.splice(0, count)) release()
  }

  /** Closes the channel somehow; what it leaves in the log is the next one's. */
  async restart(): Promise<void> {
    const before = this.channel.counters()
    const timeoutMs = randomInt(this.random, 2) * 300
    const closing = this.channel.close({ timeoutMs, drain: randomInt(this.random, 3) > 0 })
    for (let turn = 0; turn < 3; turn++) {
      await settle()
      this.read(50)
      this.log.answer()
      this.clock.advance(100)
    }
    await Promise.all(this.waiting.splice(0))
    const { delivered, undelivered } = await closing
    const pending = before.writtenRecords - before.readRecords - before.droppedRecords - before.discardedRecords
    expect(delivered + undelivered, this.story).toBe(pending)
    this.check()
    expect(this.channel.pendingRecords, this.story).toBe(0)
    // In memory, and lost with it: everything that was taken, not read, and is not in the log.
    const inLog = new Set(this.log.inside.map(numberOf))
    const seen = new Set(this.found)
    for (const { n, fate } of this.taken) if (fate === 'taken' && !seen.has(n) && !inLog.has(n)) this.discarded.add(n)
    this.release(this.held.length)
    // What could not be dropped from the log is in it although it was read or discarded: it comes again, at least once.
    this.log.failShifts = 0
    while (this.log.inside.length > 0 && seen.has(numberOf(this.log.inside[0] as Buffer))) this.log.inside.shift()
    this.subject = subjectOf(this.isItems, this.random, this.clock, this.log)
  }

  check(): void {
    const counters = this.channel.counters()
    const { writtenRecords, readRecords, droppedRecords, discardedRecords } = counters
    expect(writtenRecords, this.story).toBe(
      readRecords + droppedRecords + discardedRecords + this.channel.pendingRecords,
    )
    expect(this.channel.usedBytes, this.story).toBeLessThanOrEqual(LIMIT)
    expect(this.log.violations, this.story).toEqual([])
  }

  async finish(): Promise<void> {
    this.log.isPrompt = true
    this.log.failShifts = 0
    for (let quiet = 0; quiet < 5; quiet++) {
      this.release(this.held.length)
      this.log.answer()
      this.log.tellRoom()
      await settle()
      this.clock.advance(1000)
      this.channel.seal()
      await settle()
      const before = this.found.length
      this.read(Number.POSITIVE_INFINITY)
      if (this.found.length > before) quiet = -1
      this.check()
    }
    await Promise.all(this.waiting)
    this.release(this.held.length)
    const expected = this.taken.filter(({ n, fate }) => fate === 'taken' && !this.discarded.has(n)).map(({ n }) => n)
    expect(this.found, this.story).toEqual(expected)
    expect(this.channel.counters().inLogRecords, this.story).toBe(0)
    expect(this.channel.pendingRecords, this.story).toBe(0)
    expect(this.channel.usedBytes, this.story).toBe(0)
  }
}

describe('random lives of a channel that spills', () => {
  it(`CH-17 CH-19: order and conservation, ${RUNS} lives`, { timeout: 120_000 }, async () => {
    console.info(`seed ${SEED}`)
    let spilled = 0
    for (let run = 0; run < RUNS; run++) {
      const life = new Life(SEED + run)
      for (let step = 0; step < STEPS; step++) await life.step()
      spilled += life.channel.counters().spilledRecords
      await life.finish()
    }
    expect(spilled, 'lives in which nothing goes to the log prove nothing').toBeGreaterThan(RUNS)
  })
})
