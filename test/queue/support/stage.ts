/** A queue on a clock that stands still, a sender that does as it is told, and everything that was told. */
import { BatchQueue, type QueueEvents, type QueueOptions, type SendContext } from '../../../lib/queue/index.js'
import { FakeClock, seededRandom, silentLogger } from '../../../lib/util/index.js'
import { FakeDisk, FakeWal, type FakeWalOptions } from './fake-wal.js'

/** Lets every promise callback that is ready run. */
export async function turns(count = 30): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}

/** One call of the sender. */
export interface Call<T> {
  readonly items: readonly T[]
  readonly context: SendContext
  succeed(): void
  fail(error?: unknown): void
}

export interface StageOptions {
  readonly disk?: FakeDisk
  readonly wal?: FakeWalOptions
  readonly clock?: FakeClock
  readonly cores?: number
}

export class Stage<T> {
  readonly clock: FakeClock
  readonly disk: FakeDisk
  readonly calls: Call<T>[] = []
  readonly delivered: T[] = []
  readonly told: [name: string, event: unknown][] = []
  readonly queue: BatchQueue<T>
  wal: FakeWal | null = null
  /** What the sender does with a call: null = waits for the test. */
  answer: ((call: Call<T>) => void) | null = (call) => call.succeed()

  constructor(options: Partial<QueueOptions<T>> = {}, stage: StageOptions = {}) {
    this.clock = stage.clock ?? new FakeClock()
    this.disk = stage.disk ?? new FakeDisk()
    const send = (items: readonly T[], context: SendContext) => this.#send(items, context)
    const durable = options.durability === undefined || options.durability === 'memory' ? {} : { dir: '/log' }
    this.queue = new BatchQueue<T>({ send, ...durable, ...options } as QueueOptions<T>, {
      clock: this.clock,
      random: seededRandom(7),
      logger: silentLogger,
      cores: stage.cores ?? 2,
      openLog: async (log, events) => {
        this.wal = new FakeWal(this.disk, log, events, { auto: true, ...stage.wal })
        return this.wal
      },
    })
    const names: (keyof QueueEvents<T>)[] = [
      'backpressure',
      'drain',
      'overflow',
      'retry',
      'held',
      'failed',
      'dropped',
      'circuit',
      'recovered',
      'walFailed',
      'error',
    ]
    for (const name of names) this.queue.on(name, (event) => this.told.push([name, event]))
  }

  /** Events of one name. */
  of<E extends keyof QueueEvents<T>>(name: E): QueueEvents<T>[E][] {
    return this.told.filter(([one]) => one === name).map(([, event]) => event as QueueEvents<T>[E])
  }

  /** Time goes by, in steps of a millisecond. */
  async wait(ms: number): Promise<void> {
    for (let left = ms; left > 0; left--) {
      this.clock.advance(Math.min(1, left))
      await turns(8)
    }
    await turns()
  }

  #send(items: readonly T[], context: SendContext): Promise<void> {
    return new Promise((resolve, reject) => {
      const call: Call<T> = {
        items,
        context,
        succeed: () => {
          this.delivered.push(...items)
          resolve()
        },
        fail: (error = new Error('sender is down')) => reject(error),
      }
      this.calls.push(call)
      this.answer?.(call)
    })
  }
}

/** Numbers from..to-1. */
export function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

/** What a promise rejects with. */
export async function refusalOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}
