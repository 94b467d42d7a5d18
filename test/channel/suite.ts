/**
 * One suite for every kind of buffer a double-buffer channel can carry (CH-1).
 * A kind says how a numbered record is put into a buffer and read back; everything else is the channel's business and
 * must hold for bytes, items and record batches alike.
 */
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  type ChannelBuffer,
  type ChannelUpdate,
  CountingSequencer,
  channelSettings,
  DoubleBufferChannel,
  type DoubleBufferOptions,
} from '../../lib/channel/index.js'
import { MQError } from '../../lib/errors/index.js'
import { FakeClock, type RandomSource, randomInt, seededRandom } from '../../lib/util/index.js'

export interface KindUnderTest<B extends ChannelBuffer> {
  readonly name: string
  createBuffer(): B
  clearBuffer(buffer: B): void
  /** Puts record number `n` at the end of `buffer` and keeps `records` and `bytes` up to date. */
  append(buffer: B, n: number): void
  /** The numbers in `buffer`, in order. */
  read(buffer: B): number[]
  /** Kinds with a header or a varying size say how many bytes `records` records come to; default: sum of appends. */
  readonly bytesPerRecord: number
  readonly headerBytes?: number
}

/** A channel of one kind on a clock that stands still, with everything it told its owner. */
export class Harness<B extends ChannelBuffer> {
  readonly clock = new FakeClock()
  readonly sealed: number[] = []
  readonly configs: number[] = []
  readonly errors: MQError[] = []
  readonly channel: DoubleBufferChannel<B>
  readonly kind: KindUnderTest<B>
  due = 0
  created = 0
  discarded = 0
  #written = 0

  constructor(kind: KindUnderTest<B>, tuning: ChannelUpdate = {}, options: DoubleBufferOptions = {}) {
    this.kind = kind
    this.channel = new DoubleBufferChannel<B>(
      {
        createBuffer: () => {
          this.created++
          return kind.createBuffer()
        },
        clearBuffer: (buffer) => kind.clearBuffer(buffer),
        discardBuffer: () => {
          this.discarded++
        },
        onDue: () => {
          this.due++
        },
        onSealed: (buffer) => this.sealed.push(buffer.records),
        onConfig: (version) => this.configs.push(version),
        onError: (error) => this.errors.push(error),
      },
      channelSettings(tuning),
      { clock: this.clock, ...options },
    )
  }

  /** Writes the next `count` numbers. */
  write(count = 1): void {
    for (let index = 0; index < count; index++) {
      this.kind.append(this.channel.active, this.#written++)
      this.channel.wrote()
    }
  }

  get written(): number {
    return this.#written
  }

  /** Takes, reads and recycles everything that is sealed. */
  drain(): number[] {
    const numbers: number[] = []
    for (let buffer = this.channel.take(); buffer !== undefined; buffer = this.channel.take()) {
      for (const number of this.kind.read(buffer)) numbers.push(number)
      this.channel.recycle(buffer)
    }
    return numbers
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

export function channelSuite<B extends ChannelBuffer>(kind: KindUnderTest<B>): void {
  const make = (tuning: ChannelUpdate = {}, options: DoubleBufferOptions = {}) => new Harness(kind, tuning, options)

  describe(`CH-1: a double buffer of ${kind.name}`, () => {
    describe('active, sealed, spare', () => {
      it('CH-2: an empty buffer is never sealed', () => {
        const { channel, clock } = make({ windowMs: 5 })
        expect(channel.seal()).toBeNull()
        clock.advance(1000)
        expect(channel.stats()).toEqual({
          activeRecords: 0,
          activeBytes: 0,
          sealedBuffers: 0,
          sealedBytes: 0,
          pooledBuffers: 0,
          sequence: 0,
          switches: 0,
          skippedSwitches: 0,
          waiters: 0,
        })
      })

      it('CH-2: seals at any fill; the spare that takes its place is a spent buffer', () => {
        const harness = make()
        const { channel } = harness
        for (const fill of [1, 7, 300]) {
          harness.write(fill)
          const active = channel.active
          expect(channel.seal()).toBe(active)
          expect(active.records).toBe(fill)
          expect(channel.active).not.toBe(active)
          expect(channel.active.records).toBe(0)
          expect(channel.stats().sealedBuffers).toBe(1)
          harness.drain()
        }
        expect(harness.created).toBe(2)
        expect(channel.stats()).toMatchObject({ pooledBuffers: 1, switches: 3, sequence: 3, sealedBytes: 0 })
      })

      it('CH-2: stats count what is active and sealed', () => {
        const harness = make()
        const { channel } = harness
        harness.write(3)
        const bytes = channel.active.bytes
        expect(channel.stats()).toMatchObject({ activeRecords: 3, activeBytes: bytes })
        channel.seal()
        harness.write(1)
        expect(channel.stats()).toMatchObject({ activeRecords: 1, sealedBuffers: 1, sealedBytes: bytes, sequence: 1 })
        expect(channel.pendingRecords).toBe(4)
      })

      it('CH-10: keeps no more spares than it may, and discards the rest', () => {
        const harness = make({ maxRecords: 1 }, { maxSpares: 2 })
        harness.write(6)
        harness.drain()
        expect(harness.channel.stats().pooledBuffers).toBe(2)
        expect(harness.discarded).toBe(4)
      })

      it('CH-10: a buffer returns exactly once', () => {
        const harness = make({ maxRecords: 1 })
        harness.write(2)
        const first = harness.channel.take() as B
        harness.channel.recycle(first)
        expect(() => harness.channel.recycle(first)).toThrow(/twice/)
        expect(() => harness.channel.putBack(first)).toThrow(/sealed/)
      })
    })

    describe('triggers', () => {
      it('CH-4: the write that reaches maxRecords seals', () => {
        const harness = make({ maxRecords: 5, switchStrategy: 'time' })
        harness.write(4)
        expect(harness.sealed).toEqual([])
        harness.write(1)
        expect(harness.sealed).toEqual([5])
        harness.write(12)
        expect(harness.sealed).toEqual([5, 5, 5])
      })

      it('CH-4: the write that reaches maxBytes seals', () => {
        const maxBytes = (kind.headerBytes ?? 0) + 10 * kind.bytesPerRecord
        const harness = make({ maxBytes, switchStrategy: 'time' })
        harness.write(9)
        expect(harness.sealed).toEqual([])
        harness.write(1)
        expect(harness.sealed).toEqual([10])
      })

      it('CH-5: the window runs from the first record of the buffer, with one timer and none while empty', () => {
        const harness = make({ windowMs: 10, switchStrategy: 'time' })
        const { clock, channel } = harness
        expect(clock.pendingTimers).toBe(0)
        clock.advance(9)
        harness.write(3)
        expect(clock.pendingTimers).toBe(1)
        clock.advance(9.9)
        harness.write(3)
        expect(clock.pendingTimers).toBe(1)
        expect(harness.sealed).toEqual([])
        clock.advance(0.2)
        expect(harness.sealed).toEqual([6])
        expect(clock.pendingTimers).toBe(0)
        harness.write(1)
        expect(clock.pendingTimers).toBe(1)
        channel.seal()
        expect(clock.pendingTimers).toBe(0)
        clock.advance(100)
        expect(harness.sealed).toEqual([6])
        expect(channel.stats()).toMatchObject({ switches: 2, skippedSwitches: 0 })
      })

      it('CH-5: a wall clock that jumps moves no deadline', () => {
        const harness = make({ windowMs: 10 })
        harness.write(1)
        harness.clock.jumpWallClock(3_600_000)
        harness.clock.advance(9)
        expect(harness.sealed).toEqual([])
        harness.clock.advance(1)
        expect(harness.sealed).toEqual([1])
      })

      it('CH-5: a window of 0 seals with the first record, one of Infinity never', () => {
        const atOnce = make({ windowMs: 0 })
        atOnce.write(2)
        expect(atOnce.sealed).toEqual([1, 1])
        const never = make({ windowMs: Number.POSITIVE_INFINITY })
        never.write(2)
        expect(never.clock.pendingTimers).toBe(0)
        expect(never.sealed).toEqual([])
      })

      it('CH-6: the composite rule switches at a write, and by itself when time makes up for the missing fill', () => {
        const harness = make({ maxRecords: 100, windowMs: 10 })
        harness.write(81)
        harness.clock.advance(9)
        expect(harness.sealed).toEqual([]) // 0.36 + 0.486 = 0.846
        harness.write(1)
        expect(harness.sealed).toEqual([82]) // 0.36 + 0.492 = 0.852
        harness.write(90) // 0.4 * e / 10 + 0.54 >= 0.85 from e = 7.75 ms
        harness.clock.advance(7.7)
        expect(harness.sealed).toEqual([82])
        harness.clock.advance(0.1)
        expect(harness.sealed).toEqual([82, 90])
        harness.write(70) // 0.42 of fill needs more than the window: the window decides
        harness.clock.advance(9.9)
        expect(harness.sealed).toEqual([82, 90])
        harness.clock.advance(0.1)
        expect(harness.sealed).toEqual([82, 90, 70])
        harness.write(99)
        expect(harness.sealed).toEqual([82, 90, 70])
        harness.write(1)
        expect(harness.sealed).toEqual([82, 90, 70, 100])
      })

      it('CH-6: weights and threshold are settable, also when time alone can fulfil the rule', () => {
        const harness = make({ maxRecords: 100, windowMs: 100, timeWeight: 1, sizeWeight: 0.5, threshold: 0.5 })
        harness.write(20) // e / 100 + 0.1 >= 0.5 from 40 ms
        harness.clock.advance(39)
        expect(harness.sealed).toEqual([])
        harness.clock.advance(2) // The deadline follows the fill in steps of a timer's resolution, 1 ms.
        expect(harness.sealed).toEqual([20])
        harness.write(99) // 0.495: 0.5 ms are missing
        harness.clock.advance(2)
        expect(harness.sealed).toEqual([20, 99])
      })

      it("CH-7: 'size' seals at fillPercent whatever the time", () => {
        const harness = make({ maxRecords: 1000, switchStrategy: 'size', fillPercent: 50, windowMs: 10 })
        harness.write(499)
        harness.clock.advance(10_000)
        expect(harness.sealed).toEqual([])
        expect(harness.clock.pendingTimers).toBe(0)
        harness.write(1)
        expect(harness.sealed).toEqual([500])
      })

      it('CH-7: a function is asked at each write and at each deadline, with one reused object', () => {
        const asked: number[] = []
        const objects = new Set<object>()
        const harness = make({
          maxRecords: 100,
          windowMs: 10,
          switchStrategy: (stats) => {
            objects.add(stats)
            asked.push(stats.records)
            return stats.records >= 3 || stats.elapsedMs >= 20
          },
        })
        harness.write(4)
        expect(asked).toEqual([1, 2, 3, 1])
        expect(harness.sealed).toEqual([3])
        harness.clock.advance(10)
        expect(harness.channel.stats().skippedSwitches).toBe(1)
        harness.clock.advance(10)
        expect(harness.sealed).toEqual([3, 1])
        expect(objects.size).toBe(1)
        expect(harness.clock.pendingTimers).toBe(0)
      })

      it('CH-7: a throwing function counts as false and raises an error; the capacity still seals', () => {
        const harness = make({
          maxRecords: 3,
          switchStrategy: () => {
            throw new Error('rule broke')
          },
        })
        harness.write(3)
        expect(harness.sealed).toEqual([3])
        expect(harness.errors.map(({ code, context }) => [code, context.reason])).toEqual([
          ['PRODUCE_FAILED', 'CALLBACK'],
          ['PRODUCE_FAILED', 'CALLBACK'],
        ])
        expect(harness.errors[0]?.cause).toMatchObject({ message: 'rule broke' })
      })

      it('CH-7: a function that seals by itself confuses nobody', () => {
        const harness = make({ maxRecords: 10 })
        harness.channel.updateConfig({
          switchStrategy: () => {
            harness.channel.seal()
            return true
          },
        })
        harness.write(5)
        expect(harness.channel.stats()).toMatchObject({ switches: 5, activeRecords: 0 })
        expect(harness.drain()).toEqual(upTo(5))
        expect(harness.clock.pendingTimers).toBe(0)
      })
    })

    describe('the published cases', () => {
      it('CH-2: capacity 1,000: 20,000 writes are read in order', () => {
        const harness = make({ maxRecords: 1000 })
        const numbers: number[] = []
        for (let round = 0; round < 20; round++) {
          harness.write(1000)
          numbers.push(...harness.drain())
        }
        expect(numbers).toEqual(upTo(20_000))
        expect(harness.created).toBe(2)
      })

      it('CH-2: capacity 20: 50 one-byte writes without error', () => {
        const harness = make({ maxRecords: 20 })
        harness.write(50)
        harness.channel.seal()
        expect(harness.drain()).toEqual(upTo(50))
      })

      it('CH-5: one write with a window of 60 ms is one sealed buffer within 100 ms', () => {
        const harness = make({ windowMs: 60 })
        harness.write(1)
        harness.clock.advance(100)
        expect(harness.sealed).toEqual([1])
      })

      it('CH-5: 10 of 20 and 70 ms are one sealed buffer', () => {
        const harness = make({ maxRecords: 20, windowMs: 60 })
        harness.write(10)
        harness.clock.advance(70)
        expect(harness.sealed).toEqual([10])
      })
    })

    describe('hot update', () => {
      it.each([
        ['fillPercent', 0],
        ['fillPercent', 101],
        ['windowMs', -1],
        ['windowMs', Number.NaN],
        ['windowMs', 2 ** 31],
        ['maxRecords', 0],
        ['maxRecords', 1.5],
        ['maxBytes', -5],
        ['timeWeight', 1.1],
        ['threshold', 0],
        ['threshold', 1.01],
        ['switchStrategy', 'sometimes'],
        ['lingerMs', 5],
      ])('CH-8: %s = %s is INVALID_CONFIG and changes nothing', (field, value) => {
        const { channel, clock, configs } = make()
        const before = channel.settings
        expect(() => channel.updateConfig({ windowMs: 7, [field]: value } as ChannelUpdate)).toThrowError(
          expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(field) }),
        )
        clock.runDeferred()
        expect(channel.settings).toBe(before)
        expect(channel.configVersion).toBe(1)
        expect(configs).toEqual([])
      })

      it('CH-8: two updates in one turn raise the version by 2 and one event', () => {
        const { channel, clock, configs } = make()
        expect(channel.updateConfig({ maxRecords: 7 })).toBe(2)
        expect(channel.updateConfig({ windowMs: 9, maxBytes: undefined })).toBe(3)
        expect(configs).toEqual([])
        clock.runDeferred()
        expect(configs).toEqual([3])
        expect(channel.settings).toMatchObject({ maxRecords: 7, windowMs: 9 })
        channel.updateConfig({ maxRecords: 8 })
        clock.runDeferred()
        expect(configs).toEqual([3, 4])
      })

      it('CH-8: used at the next switch decision, and never inside the update', () => {
        const harness = make({ maxRecords: 100, windowMs: 5000 })
        harness.write(10)
        harness.channel.updateConfig({ maxRecords: 11 })
        expect(harness.sealed).toEqual([])
        harness.write(1)
        expect(harness.sealed).toEqual([11])
        harness.write(10)
        harness.channel.updateConfig({ maxRecords: 5 })
        expect(harness.sealed).toEqual([11])
        harness.clock.advance(0)
        expect(harness.sealed).toEqual([11, 10])
        harness.channel.updateConfig({ maxRecords: 100, switchStrategy: 'size' })
        harness.write(60)
        harness.channel.updateConfig({ fillPercent: 50 })
        harness.clock.advance(0)
        expect(harness.sealed).toEqual([11, 10, 60])
      })

      it('CH-8: the deadline is armed anew, counting from the first record', () => {
        const harness = make({ windowMs: 5000 })
        harness.write(1)
        harness.clock.advance(10)
        harness.channel.updateConfig({ windowMs: 30 })
        expect(harness.clock.pendingTimers).toBe(1)
        harness.clock.advance(19)
        expect(harness.sealed).toEqual([])
        harness.clock.advance(1)
        expect(harness.sealed).toEqual([1])
        harness.write(1)
        harness.clock.advance(25)
        harness.channel.updateConfig({ windowMs: 100 })
        harness.clock.advance(74)
        expect(harness.sealed).toEqual([1])
        harness.clock.advance(1)
        expect(harness.sealed).toEqual([1, 1])
      })

      it('CH-8: an update of an empty channel arms nothing', () => {
        const harness = make()
        harness.channel.updateConfig({ windowMs: 1 })
        expect(harness.clock.pendingTimers).toBe(0)
      })
    })

    describe("sealOn 'demand': seal late, grow under pressure", () => {
      it('CH-5: is due once per buffer, by size or by deadline, and does not seal', () => {
        const harness = make({ maxRecords: 5, windowMs: 10 }, { sealOn: 'demand' })
        harness.write(4)
        expect([harness.due, harness.channel.isDue]).toEqual([0, false])
        harness.write(50)
        expect([harness.due, harness.channel.isDue]).toEqual([1, true])
        expect(harness.clock.pendingTimers).toBe(0)
        harness.clock.advance(100)
        expect(harness.due).toBe(1)
        expect(harness.channel.seal()?.records).toBe(54)
        expect(harness.channel.isDue).toBe(false)
        harness.write(1)
        harness.clock.advance(10)
        harness.clock.advance(100)
        expect([harness.due, harness.sealed]).toEqual([2, []])
        expect(harness.channel.seal()?.records).toBe(1)
      })

      it('CH-8: an update can make a waiting buffer due, once', () => {
        const harness = make({ maxRecords: 50, windowMs: 1000 }, { sealOn: 'demand' })
        harness.write(10)
        harness.channel.updateConfig({ windowMs: 5 })
        harness.channel.updateConfig({ maxRecords: 5 })
        harness.clock.advance(10)
        harness.channel.updateConfig({ maxRecords: 4 })
        harness.clock.advance(10)
        expect(harness.due).toBe(1)
      })
    })

    describe('order', () => {
      it('CH-9: the number is given in the seal itself, and numbers of several channels may share one order', () => {
        const sequencer = new CountingSequencer()
        const [a, b] = [make({}, { sequencer }), make({}, { sequencer })]
        const numbers = [a, b, b, a].map((harness) => {
          harness.write(1)
          return harness.channel.seal()?.sequence
        })
        expect(numbers).toEqual([1, 2, 3, 4])
        expect([a.channel.take()?.sequence, a.channel.take()?.sequence]).toEqual([1, 4])
      })

      it('CH-9: a buffer put back keeps its number and leaves first', () => {
        const harness = make({ maxRecords: 1 })
        const { channel } = harness
        harness.write(3)
        const [first, second] = [channel.take() as B, channel.take() as B]
        channel.putBack(second)
        channel.putBack(first)
        expect([first.sequence, second.sequence]).toEqual([1, 2])
        expect(channel.peek()).toBe(first)
        expect(harness.drain()).toEqual([0, 1, 2])
      })

      it('CH-9: never n + 1 before n, under any interleaving of write, seal, read and requeue', () => {
        const step = fc.constantFrom('write', 'seal', 'take', 'putBack', 'recycle', 'tick', 'update')
        fc.assert(
          fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 9 }), (steps, maxRecords) => {
            const walk = new Walk(make({ maxRecords, windowMs: 3 }))
            for (const one of steps) walk.step(one)
            walk.finish()
          }),
          { numRuns: 300, seed: 4201 },
        )
      })

      // Three kinds make about 10^6 steps; STEPS=10000000 walks further.
      const steps = Number(process.env.STEPS ?? 300_000)
      it(`P-12: ${steps} random steps lose and duplicate nothing`, { timeout: 20_000 + steps / 20 }, () => {
        const seed = Number(process.env.SEED ?? 91734)
        const random = seededRandom(seed)
        const walk = new Walk(make({ maxRecords: 37, windowMs: 5 }, { maxSpares: 3 }), `SEED=${seed}`)
        for (let step = 0; step < steps; step++) walk.step(pickStep(random))
        walk.finish()
      })
    })

    describe('CH-19: close', () => {
      let harness: Harness<B>
      beforeEach(() => {
        harness = make({ maxRecords: 4 })
      })

      it('seals the rest and waits for the readers', async () => {
        harness.write(6)
        const closing = harness.channel.close()
        expect(harness.channel.state).toBe('closing')
        expect(harness.sealed).toEqual([4, 2])
        expect(harness.drain()).toEqual(upTo(6))
        expect(await closing).toEqual({ delivered: 6, undelivered: 0 })
        expect(harness.channel.state).toBe('closed')
        expect(harness.clock.pendingTimers).toBe(0)
      })

      it('gives up after timeoutMs and says how much is left', async () => {
        harness.write(6)
        const taken = harness.channel.take() as B
        const closing = harness.channel.close({ timeoutMs: 50 })
        expect(harness.clock.pendingTimers).toBe(1)
        harness.channel.recycle(taken)
        harness.clock.advance(50)
        expect(await closing).toEqual({ delivered: 4, undelivered: 2 })
        expect(harness.channel.stats().sealedBuffers).toBe(0)
        expect(harness.discarded).toBe(2)
      })

      it('drain: false discards at once and counts; a buffer that is out comes back later without harm', async () => {
        harness.write(6)
        const taken = harness.channel.take() as B
        expect(await harness.channel.close({ drain: false })).toEqual({ delivered: 0, undelivered: 6 })
        harness.channel.recycle(taken)
        expect(harness.discarded).toBe(2)
      })

      it('is idempotent, also as asyncDispose, and an empty channel closes at once', async () => {
        const first = harness.channel.close()
        expect(harness.channel.close()).toBe(first)
        expect(await first).toEqual({ delivered: 0, undelivered: 0 })
        await harness.channel[Symbol.asyncDispose]()
      })
    })

    it('CH-2: a createBuffer that throws leaves everything as it was', () => {
      let mayCreate = true
      const channel = new DoubleBufferChannel<B>(
        {
          createBuffer: () => {
            if (!mayCreate) throw new MQError('POOL_EXHAUSTED', 'no memory')
            return kind.createBuffer()
          },
          clearBuffer: (buffer) => kind.clearBuffer(buffer),
        },
        channelSettings(),
        { clock: new FakeClock() },
      )
      kind.append(channel.active, 0)
      channel.wrote()
      mayCreate = false
      expect(() => channel.seal()).toThrowError(expect.objectContaining({ code: 'POOL_EXHAUSTED' }))
      expect(channel.stats()).toMatchObject({ activeRecords: 1, sealedBuffers: 0, sequence: 0, switches: 0 })
      mayCreate = true
      expect(channel.seal()?.sequence).toBe(1)
    })

    it('design 1: 10,000 idle channels take no timer and less than 40 MB', () => {
      const settings = channelSettings()
      const clock = new FakeClock()
      const owner = { createBuffer: () => kind.createBuffer(), clearBuffer: () => {} }
      const before = process.memoryUsage()
      const channels = Array.from({ length: 10_000 }, () => new DoubleBufferChannel<B>(owner, settings, { clock }))
      const after = process.memoryUsage()
      expect(clock.pendingTimers).toBe(0)
      expect(channels.length).toBe(10_000)
      const grownBytes = after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers
      expect(grownBytes).toBeLessThan(40e6)
    })
  })
}

type Step = 'write' | 'seal' | 'take' | 'putBack' | 'recycle' | 'tick' | 'update'

function pickStep(random: RandomSource): Step {
  const roll = randomInt(random, 100)
  if (roll < 70) return 'write'
  if (roll < 75) return 'seal'
  if (roll < 85) return 'take'
  if (roll < 89) return 'putBack'
  if (roll < 97) return 'recycle'
  return roll < 99 ? 'tick' : 'update'
}

/** Random steps against a model: which buffers are out, and which number must leave next. */
class Walk<B extends ChannelBuffer> {
  readonly #harness: Harness<B>
  readonly #out: B[] = []
  readonly #replay: string
  /** Numbers from here to `#sealed` were never taken; those in the set were taken and put back. */
  #fresh = 1
  readonly #back = new Set<number>()
  readonly #seen: boolean[] = []
  #sealed = 0
  #steps = 0

  constructor(harness: Harness<B>, replay = 'fast-check') {
    this.#harness = harness
    this.#replay = replay
  }

  step(step: Step): void {
    this.#steps++
    const { channel, clock } = this.#harness
    if (step === 'write') this.#harness.write()
    else if (step === 'seal') channel.seal()
    else if (step === 'tick') clock.advance(1)
    else if (step === 'update') channel.updateConfig({ maxRecords: 1 + (this.#steps % 50) })
    else if (step === 'take') this.#take()
    else if (step === 'putBack') this.#putBack()
    else this.#recycle()
    this.#noteSeals()
  }

  /** Everything out comes back or is read; then each number must have been seen exactly once. */
  finish(): void {
    const { channel, clock, written } = this.#harness
    while (this.#out.length > 0) this.#recycle()
    channel.seal()
    this.#noteSeals()
    while (channel.sealedBuffers > 0) {
      this.#take()
      this.#recycle()
    }
    const lost = upTo(written).filter((n) => this.#seen[n] !== true)
    expect(lost, `${this.#where()}: lost`).toEqual([])
    expect(channel.pendingRecords).toBe(0)
    expect(clock.pendingTimers).toBe(0)
  }

  #noteSeals(): void {
    const { sequence } = this.#harness.channel.stats()
    this.#sealed = sequence
  }

  #take(): void {
    const buffer = this.#harness.channel.take()
    const lowest = Math.min(this.#fresh, ...this.#back)
    if (buffer === undefined) {
      if (lowest <= this.#sealed) throw new Error(`${this.#where()}: nothing to take, expected ${lowest}`)
      return
    }
    if (buffer.sequence !== lowest) throw new Error(`${this.#where()}: took ${buffer.sequence} before ${lowest}`)
    if (!this.#back.delete(lowest)) this.#fresh++
    this.#out.push(buffer)
  }

  #putBack(): void {
    const buffer = this.#out.splice(this.#steps % Math.max(1, this.#out.length), 1)[0]
    if (buffer === undefined) return
    const { sequence } = buffer
    this.#harness.channel.putBack(buffer)
    if (buffer.sequence !== sequence)
      throw new Error(`${this.#where()}: put back, but ${sequence} became ${buffer.sequence}`)
    this.#back.add(sequence)
  }

  #recycle(): void {
    const buffer = this.#out.splice(this.#steps % Math.max(1, this.#out.length), 1)[0]
    if (buffer === undefined) return
    let before = -1
    for (const n of this.#harness.kind.read(buffer)) {
      if (this.#seen[n] === true) throw new Error(`${this.#where()}: ${n} came twice`)
      if (n <= before) throw new Error(`${this.#where()}: ${n} after ${before}`)
      this.#seen[n] = true
      before = n
    }
    this.#harness.channel.recycle(buffer)
  }

  #where(): string {
    return `${this.#replay}, step ${this.#steps}`
  }
}
