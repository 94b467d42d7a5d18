/** CH-17 with the real log on the real file system: what memory had no room for comes back, in this life or in the next. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ByteChannel, ItemChannel } from '../../../lib/channel/index.js'
import { silentLogger } from '../../../lib/util/index.js'
import { openSpillLog } from '../../../lib/wal/index.js'

const KIB = 1024
const RECORD = 2 * KIB

function newLog() {
  const dir = mkdtempSync(join(tmpdir(), 'tandem-spilling-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return () => openSpillLog({ dir, maxBytes: 16 * KIB * KIB, minFreeBytes: 0, logger: silentLogger })
}

function payloadOf(n: number): Buffer {
  const payload = Buffer.alloc(RECORD, n & 0xff)
  payload.writeUInt32BE(n)
  return payload
}

function numberOf(bytes: Uint8Array): number {
  const n = Buffer.from(bytes).readUInt32BE(0)
  expect(Buffer.compare(bytes, payloadOf(n))).toBe(0)
  return n
}

describe('a channel over the real log', () => {
  it('CH-17: a burst of thirty times the memory comes out in order; a second life begins with the rest of the first', async () => {
    const open = newLog()
    const spillLog = await open()
    const options = { bufferMemoryBytes: 128 * KIB, windowMs: 5, onFull: 'spill' } as const
    const channel = new ByteChannel({ ...options, spillLog })
    const count = 2_000
    for (let n = 0; n < count; n++) await channel.writeAsync(payloadOf(n))
    expect(channel.counters().spilledRecords).toBeGreaterThan(count / 2)
    const found: number[] = []
    for (; found.length < count / 2; ) {
      const chunk = await channel.read()
      found.push(numberOf(chunk.bytes))
      chunk.release()
    }
    const inMemory = channel.pendingRecords - channel.counters().inLogRecords
    const closed = await channel.close({ timeoutMs: 0 })
    expect(closed).toEqual({ delivered: 0, undelivered: count / 2 })
    const left = channel.counters().inLogRecords
    expect(left).toBeGreaterThan(0)
    expect(inMemory + left).toBe(count / 2)
    await spillLog.close()

    const again = await open()
    expect(again.records).toBe(left)
    const next = new ByteChannel({ ...options, spillLog: again })
    for (let n = count; n < count + 100; n++) await next.writeAsync(payloadOf(n))
    const rest: number[] = []
    const closing = next.close()
    for await (const chunk of next) {
      rest.push(numberOf(chunk.bytes))
      chunk.release()
    }
    expect(await closing).toEqual({ delivered: left + 100, undelivered: 0 })
    expect(found).toEqual(Array.from({ length: count / 2 }, (_, n) => n))
    expect(rest).toEqual(Array.from({ length: left + 100 }, (_, n) => n + count - left))
    expect(again.records).toBe(0)
    await again.close()
  })

  it('CH-17: items through their codec, read by callback while they are written', async () => {
    const spillLog = await newLog()()
    const channel = new ItemChannel<{ id: number }>({
      ...{ onFull: 'spill', spillLog, bufferMaxRecords: 100, windowMs: 1 },
      codec: {
        encode: (item) => Buffer.from(JSON.stringify(item)),
        decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) as { id: number },
      },
    })
    const ids: number[] = []
    channel.onData(async ({ id }) => {
      ids.push(id)
    })
    for (let id = 0; id < 5_000; id++) await channel.writeAsync({ id })
    await channel.close()
    expect(ids).toEqual(Array.from({ length: 5_000 }, (_, id) => id))
    expect(channel.counters().spilledRecords).toBeGreaterThan(0)
    await spillLog.close()
  })
})
