/**
 * Random histories of a queue against a list: what went in, what came out, what is left. QU-5, wal.md 7.
 * The model knows calls and answers: items are numbers in the order of calls; it hears events, and reads the disk of the
 * log when a process dies. It never asks the queue what has become of an item.
 */
import { MQError } from '../../../lib/errors/index.js'
import { BatchQueue, type ItemCodec, type QueueOptions, type SendContext } from '../../../lib/queue/index.js'
import { FakeClock, type RandomSource, randomInt, seededRandom, silentLogger } from '../../../lib/util/index.js'
import { FakeDisk, FakeWal } from './fake-wal.js'

type Fate = 'sent' | 'failed' | 'dropped' | 'lost'

interface Call {
  readonly items: readonly number[]
  readonly context: SendContext
  readonly life: number
  resolve(): void
  reject(error: unknown): void
}

/** A call of enqueue or enqueueBatch that has no answer yet. */
interface Asked {
  readonly ids: readonly number[]
  readonly life: number
}

const codec: ItemCodec<number> = {
  encode: (item, into) => Buffer.from(into.buffer, into.byteOffset, into.length).write(`${item}`),
  decode: (view) => Number(Buffer.from(view).toString()),
}
const SEND_TIMEOUT_MS = 12
const GRACE_MS = 4
const STOP_MS = 25

async function turns(count = 14): Promise<void> {
  for (let turn = 0; turn < count; turn++) await undefined
}

export class History {
  readonly log: string[] = []
  readonly #seed: number
  readonly #random: RandomSource
  readonly #disk = new FakeDisk()
  readonly #options: Omit<QueueOptions<number>, 'send'>
  readonly #isAuto: boolean
  readonly #frameItems: number
  #calls: Call[] = []
  readonly #asked = new Set<Asked>()
  readonly #accepted = new Set<number>() // their callers were told
  readonly #uncertain = new Set<number>() // refused because the log failed: perhaps taken
  readonly #fates = new Map<number, Fate>()
  readonly #keyOf = new Map<number, string>()
  readonly #keys = new Set<string>()
  readonly #lifeOf = new Map<number, number>()
  #clock = new FakeClock()
  #queue!: BatchQueue<number>
  #wal: FakeWal | null = null
  #life = 0
  #nextId = 0
  #highest = -1
  #isClosed = false
  #hasFailed = false // the log of this life
  #isHealthy = false // the end: everything works
  #isCalm = false // for a while everything works
  #counted = { sent: 0, failed: 0, dropped: 0, recovered: 0, told: 0, open: 0 }

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#options = this.#draw()
    this.#isAuto = this.#chance(0.7)
    this.#frameItems = 1 + this.#int(4)
    this.#begin()
  }

  async run(): Promise<void> {
    this.log.push(JSON.stringify(this.#options), this.#isAuto ? 'auto' : 'manual')
    if (this.#chance(0.95)) await this.#start()
    for (let left = 5 + this.#int(20); left > 0; left--) {
      await this.#step()
      this.#check()
    }
    if (this.#chance(0.5)) await this.#calm()
    await this.#end()
  }

  /** Nothing is wrong any more: in this very life all that is pending is sent, and there is room again. */
  async #calm(): Promise<void> {
    if (this.#hasFailed || this.#isClosed) return
    this.log.push('calm')
    this.#isCalm = true
    this.#disk.maxBytes = Number.POSITIVE_INFINITY
    this.#wal?.onRoom?.()
    for (const call of this.#calls.splice(0)) this.#succeed(call)
    await this.#start()
    for (let left = 40; left > 0 && (this.#queue.queueSize > 0 || left > 35); left--) {
      this.#wal?.commit()
      await this.#advance(5)
    }
    this.#check()
    expectSame([this.#queue.state, this.#queue.queueSize], ['running', 0], 'after everything was well again')
    this.#try()
    if (!this.#accepted.has(this.#nextId - 1) && !this.#uncertain.has(this.#nextId - 1))
      throw new Error('an empty queue is full')
    this.#isCalm = false
  }

  // Drawing.

  #int(bound: number): number {
    return randomInt(this.#random, bound)
  }
  #chance(share: number): boolean {
    return this.#random.next() < share
  }
  #pick<T>(values: readonly T[]): T {
    return values[this.#int(values.length)] as T
  }

  #draw(): Omit<QueueOptions<number>, 'send'> {
    const durability = this.#pick(['memory', 'memory', 'spill', 'os', 'immediate'] as const)
    const overflow = durability === 'spill' ? 'spill' : this.#pick(['block', 'reject', 'dropOldest'] as const)
    const max = 1 + this.#int(12)
    return {
      durability,
      overflow,
      codec,
      dir: '/log',
      memoryMaxItems: max,
      softPercent: 50,
      hardPercent: this.#pick([60, 95, 100]),
      batchMaxItems: 1 + this.#int(5),
      lingerMs: this.#pick([0, 3, 10]),
      maxBlockMs: this.#pick([5, 40]),
      concurrency: this.#pick([1, 1, 2, 3]),
      retries: this.#int(3),
      retryBaseMs: 2,
      retryMaxMs: 5,
      sendTimeoutMs: SEND_TIMEOUT_MS,
      sendGraceMs: GRACE_MS,
      deliveryTimeoutMs: this.#pick([15, 60]),
      onExhausted: this.#pick(['hold', 'fail']),
      circuitBreaker: this.#chance(0.3) ? { failures: 1 + this.#int(2), successes: 1, openMs: 7 } : false,
      adaptive: this.#chance(0.2) ? { minItems: 1, maxItems: 4, targetLatencyMs: 2 } : false,
      metrics: this.#chance(0.2),
    }
  }

  get #isLogged(): boolean {
    return this.#options.durability === 'os' || this.#options.durability === 'immediate'
  }

  // Lives.

  #begin(): void {
    const life = ++this.#life
    this.#clock = new FakeClock()
    this.#calls = []
    this.#highest = -1
    this.#isClosed = false
    this.#hasFailed = false
    this.#wal = null
    this.#counted = { sent: 0, failed: 0, dropped: 0, recovered: 0, told: 0, open: 0 }
    const send = (items: readonly number[], context: SendContext) => this.#called(items, context, life)
    this.#queue = new BatchQueue<number>(
      { ...this.#options, send },
      {
        clock: this.#clock,
        random: seededRandom(this.#seed * 31 + life),
        logger: silentLogger,
        openLog: async (options, events) => {
          this.#counted.recovered = this.#onDisk().length
          this.#wal = new FakeWal(this.#disk, options, events, {
            auto: this.#isAuto || this.#isHealthy,
            frameItems: this.#frameItems,
          })
          return this.#wal
        },
      },
    )
    this.#queue.on('failed', ({ items }) => this.#settle(items, 'failed', life))
    this.#queue.on('dropped', ({ items, count, reason }) => {
      if (reason !== 'walFailed') return this.#settle(items, 'dropped', life)
      const open = this.#wal?.openItems().map((item) => codec.decode(item)) ?? []
      expectSame(count, open.length, 'items that the log had not accepted')
      this.#settle(open, 'dropped', life)
    })
    this.#queue.on('error', (error) => {
      if (life !== this.#life) return // Of a process that is dead.
      if (/settled already|is unknown|not accepted|after close/.test(String(error.cause)))
        this.#broken.push(String(error.cause))
    })
  }
  readonly #broken: string[] = []

  async #start(): Promise<void> {
    const started = this.#queue.start()
    started.catch(() => {})
    await turns(30)
  }

  /** Items of the log without an outcome. */
  #onDisk(): number[] {
    return this.#disk.frames.flatMap(({ items, outcomes }) =>
      items.filter((_, index) => (outcomes[index] as number) < 0).map((item) => codec.decode(item)),
    )
  }

  // What the queue does.

  #called(items: readonly number[], context: SendContext, life: number): Promise<void> {
    if (life !== this.#life || this.#isClosed) return new Promise(() => {})
    this.log.push(`call ${context.attempt} [${items}]`)
    this.#noteCall(items, context, life)
    return new Promise((resolve, reject) => {
      const call = { items, context, life, resolve, reject }
      if (this.#isHealthy || this.#isCalm) this.#succeed(call)
      else this.#calls.push(call)
    })
  }

  /** Nothing leaves before the log has it (wal.md 1.2, C1). */
  #checkLogged(items: readonly number[]): void {
    if (!this.#isLogged) return
    const onDisk = new Set(this.#disk.frames.flatMap((frame) => frame.items.map((item) => codec.decode(item))))
    for (const id of items) if (!onDisk.has(id)) this.#broken.push(`item ${id} is sent before the log has it`)
  }

  #noteCall(
    items: readonly number[],
    { attempt, firstPosition, incarnationId, recovered }: SendContext,
    life: number,
  ): void {
    if (items.length === 0) this.#broken.push('an empty batch')
    if (items.length > Math.max(this.#options.batchMaxItems as number, 4)) this.#broken.push('a batch above its limit')
    for (const [index, id] of items.entries()) {
      const key = `${incarnationId}:${firstPosition + index}`
      const known = this.#keyOf.get(id)
      if (known === undefined && this.#keys.has(key)) this.#broken.push(`two items are ${key}`)
      if (known !== undefined && known !== key) this.#broken.push(`item ${id} was ${known} and is ${key}`)
      this.#keyOf.set(id, key)
      this.#keys.add(key)
      if (recovered !== (this.#lifeOf.get(id) as number) < life) this.#broken.push(`item ${id}: recovered ${recovered}`)
      const fate = this.#fates.get(id)
      if (attempt === 1 && fate !== undefined) this.#broken.push(`item ${id} is sent after it was ${fate}`)
      if (index > 0 && id <= (items[index - 1] as number)) this.#broken.push(`not in order: ${items}`)
    }
    this.#checkLogged(items)
    if (this.#options.concurrency !== 1 || attempt > 1) return
    if ((items[0] as number) <= this.#highest) this.#broken.push(`${items} after ${this.#highest}`)
    this.#highest = items.at(-1) as number
  }

  #succeed(call: Call): void {
    const isNew = call.items.every((id) => !this.#fates.has(id))
    if (isNew && !this.#isClosed) this.#settle(call.items, 'sent', call.life)
    call.resolve()
  }

  #settle(ids: readonly number[], fate: Fate, life: number): void {
    if (life !== this.#life) return
    for (const id of ids) {
      const known = this.#fates.get(id)
      if (known !== undefined) this.#broken.push(`item ${id} was ${known} and is ${fate}`)
      this.#fates.set(id, fate)
    }
    this.#counted[fate as 'sent'] += ids.length
  }

  // What the test does.

  async #step(): Promise<void> {
    const kind = this.#int(100)
    if (!this.#isAuto && this.#chance(0.15)) this.#commit()
    if (kind < 30) this.#ask([this.#id()], false)
    else if (kind < 40)
      this.#ask(
        Array.from({ length: this.#int(7) }, () => this.#id()),
        true,
      )
    else if (kind < 45) this.#try()
    else if (kind < 70) this.#answer()
    else if (kind < 82) await this.#advance(1 + this.#int(12))
    else if (kind < 85) this.#queue.flush({ timeoutMs: 20 }).catch(() => {})
    else if (kind < 90) this.#commit()
    else if (kind < 92) await this.#stop()
    else if (kind < 94) await this.#start()
    else if (kind < 95) await this.#close()
    else if (kind < 97) await this.#crash()
    else if (kind < 99) this.#limitDisk()
    else this.#failLog()
    await turns()
  }

  #id(): number {
    this.#lifeOf.set(this.#nextId, this.#life)
    return this.#nextId++
  }

  #ask(ids: readonly number[], isBatch: boolean): void {
    this.log.push(`enqueue [${ids}]`)
    const asked: Asked = { ids, life: this.#life }
    this.#asked.add(asked)
    const promise = isBatch ? this.#queue.enqueueBatch(ids) : this.#queue.enqueue(ids[0] as number)
    promise.then(
      () => this.#answered(asked, ids.length),
      (error: unknown) => this.#refused(asked, error),
    )
  }

  #answered(asked: Asked, count: number): void {
    if (asked.life !== this.#life) return
    this.#asked.delete(asked)
    for (const id of asked.ids.slice(0, count)) this.#accepted.add(id)
    this.#counted.told += count
  }

  #refused(asked: Asked, error: unknown): void {
    if (asked.life !== this.#life) return
    if (!(error instanceof MQError)) return void this.#broken.push(`refused with ${String(error)}`)
    if (error.context.reason === 'WAL_FAILED') {
      this.#asked.delete(asked)
      for (const id of asked.ids) this.#uncertain.add(id)
      this.#counted.open += asked.ids.length
      return
    }
    const count = Number(error.context.acceptedCount ?? 0)
    this.#answered(asked, count)
    for (const id of asked.ids.slice(count)) {
      if (this.#fates.has(id)) this.#broken.push(`item ${id} was refused and is ${this.#fates.get(id)}`)
    }
  }

  #try(): void {
    const id = this.#id()
    try {
      const isTaken = this.#queue.tryEnqueue(id)
      this.log.push(`try ${id} ${isTaken}`)
      if (isTaken) this.#counted.told++
      // Not accepted yet, but taken: its fate is asked for only when the log had it.
      if (isTaken && !this.#isLogged && this.#options.durability === 'memory') this.#accepted.add(id)
      else if (isTaken) this.#uncertain.add(id)
    } catch (error) {
      if (!(error instanceof MQError)) throw error
    }
  }

  #answer(): void {
    const call = this.#calls.splice(this.#int(this.#calls.length), 1)[0]
    if (call === undefined || this.#chance(0.1)) return // It hangs.
    const isOk = this.#chance(0.6)
    this.log.push(`${isOk ? 'ok' : 'fail'} [${call.items}]`)
    if (isOk) this.#succeed(call)
    else call.reject(new Error('down'))
  }

  async #advance(ms: number): Promise<void> {
    this.log.push(`+${ms}`)
    for (let left = ms; left > 0; left--) {
      this.#clock.advance(1)
      await turns(8)
    }
  }

  #commit(): void {
    this.log.push('commit')
    this.#wal?.commit()
  }

  async #stop(): Promise<void> {
    this.log.push('stop')
    const stopped = this.#queue.stop({ timeoutMs: STOP_MS })
    await this.#advance(STOP_MS + 1)
    this.#commit()
    await stopped
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return
    this.log.push('close')
    const closing = this.#queue.close({ timeoutMs: STOP_MS })
    await this.#advance(STOP_MS + 1)
    this.#wal?.commit()
    const report = await closing
    this.#isClosed = true
    await turns()
    const onDisk = this.#onDisk()
    const { enqueuedTotal, recoveredTotal } = this.#queue.metrics()
    expectSame(report.sent + report.failed + report.dropped + report.pending, enqueuedTotal + recoveredTotal, 'report')
    expectSame(
      [report.sent, report.failed, report.dropped],
      [this.#counted.sent, this.#counted.failed, this.#counted.dropped],
      'fates',
    )
    if (!this.#hasFailed) expectSame(report.pending, this.#wal === null ? 0 : onDisk.length, 'pending after close')
    expectSame(this.#clock.pendingTimers, 0, 'timers after close')
    expectSame([...this.#asked].filter(({ life }) => life === this.#life).length, 0, 'calls without an answer')
    this.#revive(onDisk)
    this.#begin()
    if (this.#chance(0.9)) await this.#start()
  }

  async #crash(): Promise<void> {
    this.log.push('crash')
    const dead = this.#life
    this.#wal?.crash(this.#int(4), this.#int(4))
    this.#life++ // What its promises still do concerns nobody.
    await turns()
    this.#life = dead
    this.#revive(this.#onDisk())
    this.#begin()
    if (this.#chance(0.9)) await this.#start()
  }

  /** What is on the disk is pending again, with an outcome or without; all else that had none is lost with the memory. */
  #revive(onDisk: readonly number[]): void {
    const there = new Set(onDisk)
    for (const id of there) this.#fates.delete(id)
    for (const id of this.#accepted) {
      if (there.has(id) || this.#fates.has(id)) continue
      if (this.#isLogged) this.#broken.push(`item ${id} was accepted, and is nowhere`)
      this.#fates.set(id, 'lost')
    }
  }

  #limitDisk(): void {
    this.#disk.maxBytes = this.#chance(0.5) ? this.#disk.bytes + this.#int(20) : Number.POSITIVE_INFINITY
    this.log.push(`disk ${this.#disk.maxBytes}`)
    if (this.#disk.maxBytes === Number.POSITIVE_INFINITY) this.#wal?.onRoom?.()
  }

  #failLog(): void {
    if (this.#wal === null || this.#wal.isClosed || this.#hasFailed) return
    this.log.push('log fails')
    this.#hasFailed = true
    this.#wal.fail()
  }

  // What must hold.

  #check(): void {
    const m = this.#queue.metrics()
    const { sent, failed, dropped, recovered, told, open } = this.#counted
    expectSame(
      [m.sentTotal, m.failedTotal, m.droppedTotal, m.recoveredTotal],
      [sent, failed, dropped, recovered],
      'counters',
    )
    const kept = m.memoryQueueSize + m.logQueueSize
    expectSame(m.enqueuedTotal + m.recoveredTotal, sent + failed + dropped + kept, 'conservation')
    const unanswered = [...this.#asked]
      .filter(({ life }) => life === this.#life)
      .reduce((sum, { ids }) => sum + ids.length, 0)
    const isWithin = m.enqueuedTotal >= told && m.enqueuedTotal <= told + unanswered + open
    if (!isWithin) this.#broken.push(`enqueued ${m.enqueuedTotal}, told ${told}, unanswered ${unanswered} + ${open}`)
    if (this.#broken.length > 0) throw new Error(this.#broken.join('; '))
  }

  /** Everything works again: whatever is pending is sent, and each accepted item has exactly one fate. */
  async #end(): Promise<void> {
    this.#disk.maxBytes = Number.POSITIVE_INFINITY
    await this.#close()
    this.log.push('end')
    this.#isHealthy = true
    await this.#start()
    for (let left = 200; this.#queue.queueSize > 0; left--) {
      await this.#advance(5)
      if (left === 0) throw new Error('what is pending is not sent')
    }
    await this.#queue.close()
    for (const id of this.#accepted) if (!this.#fates.has(id)) this.#broken.push(`item ${id} has no fate`)
    expectSame(this.#onDisk(), [], 'left in the log')
    if (this.#broken.length > 0) throw new Error(this.#broken.join('; '))
  }
}

function expectSame(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: expected ${b}, found ${a}`)
}
