/** The queue on the real log: what survives, what is refused, what is told. wal.md 7, features.md 7. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { SendContext } from '../../lib/queue/index.js'
import { realQueue, tempDir } from './support/real-log.js'
import { numbers, refusalOf } from './support/stage.js'

const MODES = ['os', 'periodic', 'immediate'] as const
const CHILD = fileURLToPath(new URL('support/killed-queue.ts', import.meta.url))

/** A sender that remembers. */
function sink<T>() {
  const items: T[] = []
  const contexts: SendContext[] = []
  const send = async (batch: readonly T[], context: SendContext) => {
    items.push(...batch)
    contexts.push(context)
  }
  return { items, contexts, send }
}
const down = async () => {
  throw new Error('sender is down')
}

describe.each(MODES)('durability %s', (durability) => {
  it('QU-5: the sender is down, then up: delivered in order, the log is empty', async () => {
    const dir = tempDir()
    const first = realQueue<number>(dir, { durability, send: down, retries: 0 })
    await first.start()
    await first.enqueueBatch(numbers(2000))
    expect(await first.close({ timeoutMs: 50 })).toEqual({ sent: 0, failed: 0, dropped: 0, pending: 2000 })

    const up = sink<number>()
    const second = realQueue<number>(dir, { durability, send: up.send })
    await second.start()
    await second.drain()
    expect(up.items).toEqual(numbers(2000))
    expect(up.contexts.every(({ recovered, attempt }) => recovered && attempt === 1)).toBe(true)
    expect(new Set(up.contexts.map(({ incarnationId }) => incarnationId)).size).toBe(1)
    expect(second.metrics()).toMatchObject({ recoveredTotal: 2000, enqueuedTotal: 0, sentTotal: 2000, walSize: 0 })
    expect(await second.close()).toEqual({ sent: 2000, failed: 0, dropped: 0, pending: 0 })

    const third = realQueue<number>(dir, { durability, send: down })
    await third.start()
    expect(third.queueSize).toBe(0)
  })

  it('QU-1: log, kill -9, new start: one recovered, at the same position', async () => {
    const dir = tempDir()
    const said = await killed(dir, durability)
    const up = sink<string>()
    const queue = realQueue<string>(dir, { durability, send: up.send })
    await queue.start()
    await queue.drain()
    expect(up.items).toEqual(['the only one'])
    const [{ incarnationId, firstPosition, recovered } = {} as SendContext] = up.contexts
    expect(`${incarnationId}:${firstPosition}`).toBe(said)
    expect(recovered).toBe(true)
    expect(queue.metrics()).toMatchObject({ recoveredTotal: 1, sentTotal: 1 })
    await queue.close()
  })
})

/** A process that enqueues one item, tries to send it, and is killed. Gives what its sender was told. */
async function killed(dir: string, durability: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--import', 'tsx', CHILD, dir, durability], (_error, stdout, stderr) => {
      if (stdout.includes(':')) resolve(stdout.trim())
      else reject(new Error(stderr))
    })
  })
}

describe('the log of a queue', () => {
  it('QU-5: one payload byte flipped: WAL_CORRUPT, and nothing is delivered from it', async () => {
    const dir = tempDir()
    const first = realQueue<string>(dir, { send: down, retries: 0 })
    await first.start()
    await first.enqueueBatch(['alpha', 'bravo'])
    await first.enqueue('charlie')
    await first.close({ timeoutMs: 20 })
    flip(dir, 'bravo')

    const up = sink<string>()
    const second = realQueue<string>(dir, { send: up.send })
    expect(await refusalOf(second.start())).toMatchObject({
      code: 'DECOMPRESSION_FAILED',
      fatal: true,
      context: { reason: 'WAL_CORRUPT' },
    })
    expect(second.state).toBe('new')
    expect(up.items).toEqual([])
    expect(await second.close()).toEqual({ sent: 0, failed: 0, dropped: 0, pending: 0 })
  })

  it('QU-5: the same with onCorruption quarantine: the rest is delivered, the loss is told', async () => {
    const dir = tempDir()
    const first = realQueue<string>(dir, { send: down, retries: 0 })
    await first.start()
    await first.enqueueBatch(['alpha', 'bravo'])
    await first.enqueue('charlie')
    await first.close({ timeoutMs: 20 })
    flip(dir, 'bravo')

    const up = sink<string>()
    const second = realQueue<string>(dir, { send: up.send, wal: { onCorruption: 'quarantine', minFreeBytes: 1024 } })
    const told: number[] = []
    second.on('recovered', ({ lostRanges }) => told.push(lostRanges))
    await second.start()
    await second.drain()
    expect(up.items).toEqual(['charlie'])
    expect(told).toEqual([1])
    await second.close()
  })

  it('QU-1: a second owner is refused, and may try again', async () => {
    const dir = tempDir()
    const first = realQueue<string>(dir, { send: async () => {} })
    await first.start()
    const second = realQueue<string>(dir, { send: async () => {} })
    const waiting = second.start()
    const early = refusalOf(second.enqueue('x'))
    expect(await refusalOf(waiting)).toMatchObject({ code: 'INVALID_CONFIG', context: { reason: 'WAL_LOCKED' } })
    expect(await early).toMatchObject({ context: { reason: 'WAL_LOCKED' } })
    await first.close()
    await second.start()
    await second.enqueue('y')
    expect(await second.stop()).toEqual({ sent: 1, failed: 0, dropped: 0, pending: 0 })
    await second.close()
  })

  it('QU-3: what memory has no room for is only in the log, and comes back in order', async () => {
    const dir = tempDir()
    let isOpen = false
    const got: number[] = []
    const queue = realQueue<number>(dir, {
      memoryMaxItems: 50,
      batchMaxItems: 20,
      onExhausted: 'hold',
      send: async (batch) => {
        if (!isOpen) throw new Error('not yet')
        got.push(...batch)
      },
    })
    await queue.start()
    for (let at = 0; at < 5000; at += 100) await queue.enqueueBatch(numbers(100, at))
    expect(queue.metrics()).toMatchObject({ pending: 5000, memoryQueueSize: 50, logQueueSize: 4950 })
    isOpen = true
    await queue.drain()
    expect(got).toEqual(numbers(5000))
    expect(await queue.close()).toEqual({ sent: 5000, failed: 0, dropped: 0, pending: 0 })
  })

  it('WA-5, QU-3: spilled items are sent at run time, in order, and survive a close', async () => {
    const dir = tempDir()
    let isOpen = false
    const got: number[] = []
    const options = {
      durability: 'spill' as const,
      memoryMaxItems: 20,
      batchMaxItems: 7,
      onExhausted: 'hold' as const,
      send: async (batch: readonly number[]) => {
        if (!isOpen) throw new Error('not yet')
        got.push(...batch)
      },
    }
    const queue = realQueue<number>(dir, options)
    await queue.start()
    await queue.enqueueBatch(numbers(300))
    expect(queue.metrics().logQueueSize).toBe(280)
    isOpen = true
    await queue.drain()
    isOpen = false
    await queue.enqueueBatch(numbers(100, 300))
    const report = await queue.close({ timeoutMs: 20 })
    expect(report).toEqual({ sent: 300, failed: 0, dropped: 20, pending: 80 })

    isOpen = true
    const next = realQueue<number>(dir, options)
    await next.start()
    await next.drain()
    expect(got).toEqual([...numbers(300), ...numbers(80, 320)])
    await next.close()
  })

  it('QU-3: a full log blocks, drains, and goes on', async () => {
    const dir = tempDir()
    let isOpen = false
    let got = 0
    const queue = realQueue<string>(dir, {
      memoryMaxItems: 100,
      maxBlockMs: 10_000,
      send: async (batch) => {
        if (!isOpen) throw new Error('not yet')
        got += batch.length
      },
    })
    const events: string[] = []
    for (const name of ['backpressure', 'overflow', 'drain'] as const) queue.on(name, () => events.push(name))
    await queue.start()
    const item = 'x'.repeat(10_000)
    let taken = 0
    let refused: unknown
    while (refused === undefined) {
      refused = await refusalOf(queue.enqueue(item, { timeoutMs: 300 }))
      if (refused === undefined) taken++
    }
    expect(refused).toMatchObject({ code: 'TIMEOUT', context: { reason: 'WAL_FULL' } })
    expect(taken).toBeGreaterThan(300)
    const blocked = queue.enqueue(item)
    isOpen = true
    await blocked
    await queue.drain()
    expect(got).toBe(taken + 1)
    expect(events).toContain('backpressure')
    expect(events).toContain('overflow')
    expect(events).toContain('drain')
    expect(queue.walSize).toBe(0)
    await queue.close()
  })
})

/** Changes one byte of the first place where the log says `text`. */
function flip(dir: string, text: string): void {
  for (const name of readdirSync(dir).filter((one) => one.endsWith('.wal'))) {
    const bytes = readFileSync(join(dir, name))
    const at = bytes.indexOf(text)
    if (at < 0) continue
    bytes[at] = (bytes[at] as number) ^ 1
    writeFileSync(join(dir, name), bytes)
    return
  }
  throw new Error(`${text} is nowhere in the log`)
}
