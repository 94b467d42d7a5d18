/**
 * Streams that come, read a little and are destroyed, cancelled or aborted at any moment, beside writers.
 * Whatever the order: each record reaches one consumer, or is told by the error event, or is still in the channel. CH-12.
 */
import { describe, expect, it } from 'vitest'
import type { ItemChannel } from '../../../lib/channel/index.js'
import { randomInt, seededRandom } from '../../../lib/util/index.js'
import { errorsOf, items, range, turns } from './support.js'

interface Reader {
  /** Gives what comes to `seen` until it is ended; never rejects. */
  readonly done: Promise<void>
  end(): void
}

async function gather(records: AsyncIterable<number>, seen: number[]): Promise<void> {
  try {
    for await (const n of records) seen.push(n)
  } catch (error) {
    if (!['AbortError', 'Error'].includes((error as Error).name) && error !== 'enough') throw error
  }
}

/** One reader of a kind; `end` is the way in which this kind is left. */
function readerOf(channel: ItemChannel<number>, kind: number, seen: number[]): Reader {
  const gone = new AbortController()
  const { signal } = gone
  if (kind === 0) {
    const readable = channel.toReadable()
    readable.on('data', (n) => seen.push(n))
    const done = new Promise<void>((resolve) => readable.once('close', resolve))
    return { done, end: () => void readable.destroy() }
  }
  if (kind === 1) {
    const readable = channel.toReadable({ highWaterMark: 3, signal })
    return { done: gather(readable, seen), end: () => gone.abort('enough') }
  }
  if (kind === 2) {
    const readable = channel.toReadable()
    return { done: gather(readable, seen), end: () => void readable.destroy() }
  }
  if (kind === 3) return { done: gather(channel.toReadableStream({ signal }), seen), end: () => gone.abort('enough') }
  const reader = channel.toReadableStream().getReader()
  const done = (async () => {
    for (let read = await reader.read(); !read.done; read = await reader.read()) seen.push(read.value)
  })()
  return { done, end: () => void reader.cancel() }
}

async function scenario(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const channel = items<number>()
  const errors = errorsOf(channel)
  const seen: number[] = []
  const readers: Reader[] = []
  const gone: Promise<void>[] = []
  let written = 0
  const steps = [
    () => {
      for (let count = 1 + randomInt(random, 7); count > 0; count--) channel.write(written++)
      if (random.next() < 0.8) channel.seal()
    },
    () => {
      readers.push(readerOf(channel, randomInt(random, 5), seen))
    },
    () => {
      const [reader] = readers.splice(randomInt(random, readers.length || 1), 1)
      if (reader === undefined) return
      reader.end()
      gone.push(reader.done)
    },
  ]
  for (let step = 0; step < 120; step++) {
    ;(steps[randomInt(random, steps.length)] as () => void)()
    if (random.next() < 0.4) await turns(1 + randomInt(random, 2))
    else if (random.next() < 0.5) await Promise.resolve()
  }
  for (const reader of readers) {
    reader.end()
    gone.push(reader.done)
  }
  await Promise.all(gone)
  channel.seal()
  await turns()
  const rest = channel.pendingRecords > 0 ? await channel.readBatch(Number.POSITIVE_INFINITY) : []
  const told = errors.reduce((sum, { context }) => sum + (context.records as number), 0)
  const all = [...seen, ...rest].sort((a, b) => a - b)
  expect(new Set(all).size, `seed ${seed}: a record came twice`).toBe(all.length)
  expect(all.length + told, `seed ${seed}: of ${written} written, ${told} told`).toBe(written)
  if (told === 0) expect(all).toEqual(range(0, written))
  expect(channel.stats().waiters, `seed ${seed}`).toBe(0)
  await channel.close()
}

describe('CH-12: streams that come and go', () => {
  it('lose nothing that is not told (60 seeds)', async () => {
    const from = Number(process.env.SEED ?? 1)
    for (let seed = from; seed < from + 60; seed++) await scenario(seed)
  })
})
