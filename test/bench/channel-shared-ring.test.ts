/** The ring between two threads that the channel's benchmark compares with: order, wrapping, limits, waiting. Part 8. */
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SharedReaderData } from '../../bench/harness/channel-shared-reader.js'
import { ENDED, NOTHING, RingReader, RingWriter, ringMemory } from '../../bench/harness/channel-shared-ring.js'

/** Positions are int32 and wrap here. */
const NEAR_WRAP = 2 ** 31 - 64

function ringOf(capacity: number, from = 0) {
  const memory = ringMemory(capacity, from)
  const writer = new RingWriter(memory)
  const reader = new RingReader(memory)
  const target = Buffer.alloc(capacity)
  const read = (): string | number => {
    const length = reader.next()
    if (length < 0) return length
    reader.copyTo(target)
    reader.advance()
    return target.toString('latin1', 0, length)
  }
  return { writer, reader, read }
}

const recordOf = (number: number, length: number) =>
  Buffer.alloc(length, Buffer.from(`<${number.toString(36)}>`, 'latin1'))

describe('features 8, shared ring', () => {
  it('gives every record once, in order and unchanged, whatever the sizes and the interleaving', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ write: fc.nat({ max: 60 }) }) },
      { weight: 2, arbitrary: fc.constant({ read: true as const }) },
    )
    fc.assert(
      fc.property(
        fc.constantFrom(64, 128, 256),
        fc.constantFrom(0, NEAR_WRAP, -64),
        fc.array(step, { maxLength: 300 }),
        (capacity, from, steps) => {
          const { writer, read } = ringOf(capacity, from)
          const model: string[] = []
          for (const [number, one] of steps.entries()) {
            if ('read' in one) {
              expect(read()).toBe(model.shift() ?? NOTHING)
              continue
            }
            const record = recordOf(number, Math.min(one.write, writer.maxBytes))
            if (writer.tryWrite(record)) model.push(record.toString('latin1'))
            else expect(model.length).toBeGreaterThan(0) // full means that something is inside
          }
          while (model.length > 0) expect(read()).toBe(model.shift())
          expect(read()).toBe(NOTHING)
        },
      ),
      { seed: 20_261_122, numRuns: 500 },
    )
  })

  it.each([0, NEAR_WRAP, -64])('takes its longest record at every position when it is empty, from %i', (from) => {
    const { writer, read } = ringOf(128, from)
    for (let lap = 0; lap < 200; lap++) {
      const shift = recordOf(lap, lap % 32)
      expect(writer.tryWrite(shift)).toBe(true)
      expect(read()).toBe(shift.toString('latin1'))
      const longest = recordOf(lap, writer.maxBytes)
      expect(writer.tryWrite(longest)).toBe(true)
      expect(read()).toBe(longest.toString('latin1'))
    }
  })

  it('fills to its last byte, refuses then, and takes nothing of what it refuses', () => {
    const { writer, read } = ringOf(64)
    const records = Array.from({ length: 8 }, (_, number) => recordOf(number, 4)) // 4 + 4 bytes each: 64 in all
    for (const record of records) expect(writer.tryWrite(record)).toBe(true)
    expect(writer.tryWrite(Buffer.alloc(0))).toBe(false)
    expect(writer.tryEnd()).toBe(false)
    for (const record of records) expect(read()).toBe(record.toString('latin1'))
    expect(read()).toBe(NOTHING)
  })

  it('says what can never fit, and which capacities there are', () => {
    const { writer } = ringOf(64)
    expect(() => writer.tryWrite(Buffer.alloc(writer.maxBytes + 1))).toThrow('29 B never fits: at most 28 B')
    for (const capacity of [0, 32, 100, 2 ** 31]) expect(() => ringMemory(capacity)).toThrow(RangeError)
  })

  it('tells the end behind the last record, as often as one asks', () => {
    const { writer, read } = ringOf(64)
    writer.tryWrite(Buffer.from('last'))
    expect(writer.tryEnd()).toBe(true)
    expect([read(), read(), read()]).toEqual(['last', ENDED, ENDED])
  })

  it('keeps the record until the reader lets go of it', () => {
    const { writer, reader } = ringOf(64)
    writer.tryWrite(Buffer.from('abc'))
    expect([reader.next(), reader.next()]).toEqual([3, 3])
    expect(writer.tryWrite(Buffer.alloc(28))).toBe(true)
    expect(writer.tryWrite(Buffer.alloc(24))).toBe(false)
    reader.advance()
    expect(reader.next()).toBe(28)
  })

  it.each(['room', 'drained'] as const)('resolves %s() when the reader has let go, and not before', async (wait) => {
    const { writer, read } = ringOf(64)
    for (let number = 0; number < 8; number++) writer.tryWrite(recordOf(number, 4))
    let isResolved = false
    const waiting = (wait === 'room' ? writer.room(4) : writer.drained()).then(() => {
      isResolved = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(isResolved).toBe(false)
    while (read() !== NOTHING);
    await waiting
  })

  it('gives up on a reader that lets go of nothing', async () => {
    const { writer } = ringOf(64)
    writer.tryWrite(Buffer.alloc(28))
    await expect(writer.drained(1)).rejects.toThrow('the reader let go of nothing within 1 ms')
  })
})

describe('features 8, shared ring between threads', () => {
  const READER = new URL('../../bench/harness/channel-shared-reader.ts', import.meta.url).href
  const LOADER = `import('tsx/esm/api').then(({ tsImport }) => tsImport('${READER}', '${READER}'))`

  function start(capacity: number) {
    const ring = ringMemory(capacity, NEAR_WRAP)
    const counts = new SharedArrayBuffer(4)
    const data: SharedReaderData = { ring, counts, content: 'counter' }
    const worker = new Worker(LOADER, { eval: true, workerData: data })
    const ended = new Promise<number>((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    return { writer: new RingWriter(ring), verified: new Int32Array(counts), ended }
  }

  function counted(number: number, length: number): Buffer {
    const record = Buffer.alloc(length)
    record.writeInt32LE(number, 0)
    return record
  }

  it('brings records of odd sizes through a ring that is often full to a reader that is often asleep', async () => {
    const { writer, verified, ended } = start(4096)
    for (let number = 0; number < 100_000; number++) {
      const record = counted(number, 4 + ((number * 37) % 500))
      while (!writer.tryWrite(record)) await writer.room(record.length)
      if (number % 1000 === 0) await writer.drained()
    }
    await writer.drained()
    expect(verified[0]).toBe(100_000)
    expect(writer.tryEnd()).toBe(true)
    expect(await ended).toBe(0)
  })

  it('ends with an error when a record is not the one that was written', async () => {
    const { writer, ended } = start(4096)
    writer.tryWrite(counted(1, 4))
    await expect(ended).rejects.toThrow('expected 0, read 1')
  })
})
