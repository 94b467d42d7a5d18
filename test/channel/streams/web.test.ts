/** `toReadableStream` and `toWritableStream`: a channel as streams of the web. CH-12, CH-16. */
import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { all, bytes, errorsOf, items, numbers, range, turns } from './support.js'

describe('CH-12: toReadableStream', () => {
  it('gives all records in order, null and empty ones too, and ends when the channel is closed and drained', async () => {
    const channel = items<unknown>()
    for (const item of [1, null, '', 0]) channel.write(item)
    const closed = channel.close()
    expect(await all(channel.toReadableStream())).toEqual([1, null, '', 0])
    expect(await closed).toEqual({ delivered: 4, undelivered: 0 })

    const payloads = bytes()
    for (const text of ['ab', '', 'c']) payloads.write(Buffer.from(text))
    void payloads.close()
    const chunks = await all(payloads.toReadableStream())
    expect(chunks.map(String)).toEqual(['ab', '', 'c'])
    expect(chunks.every((chunk) => chunk instanceof Uint8Array)).toBe(true)
    expect(payloads.usedBytes).toBe(0)
  })

  it('a stream that waits ends when the channel closes with nothing in it', async () => {
    const channel = items<number>()
    const waiting = channel.toReadableStream().getReader().read()
    await turns()
    await channel.close()
    expect(await waiting).toEqual({ done: true, value: undefined })
  })

  it('reads nothing ahead: one record for each read', async () => {
    const channel = numbers(5)
    const reader = channel.toReadableStream().getReader()
    await turns()
    expect(channel.pendingRecords).toBe(5)
    expect(await reader.read()).toEqual({ done: false, value: 0 })
    await turns()
    expect(channel.pendingRecords).toBe(4)
    await reader.cancel()
    expect(channel.tryRead()).toBe(1)
    await channel.close({ drain: false })
  })

  it('waits for what comes, several reads in their order, and competes with other readers', async () => {
    const channel = items<number>()
    const one = channel.toReadableStream().getReader()
    const other = channel.toReadableStream().getReader()
    const reads = [one.read(), one.read(), other.read(), channel.read()]
    await turns()
    for (const n of range(0, 4)) channel.write(n)
    channel.seal()
    const values = (await Promise.all(reads)).map((read) => (typeof read === 'number' ? read : read.value))
    expect(values[0] as number).toBeLessThan(values[1] as number)
    expect(values.toSorted()).toEqual(range(0, 4))
    await channel.close()
    expect(await one.read()).toEqual({ done: true, value: undefined })
  })

  it('cancelled while it waits, also in the turn of the write: nothing is taken', async () => {
    for (const isLate of [false, true]) {
      const channel = items<number>()
      const reader = channel.toReadableStream().getReader()
      const waiting = reader.read()
      await turns()
      if (isLate) channel.write(1)
      channel.seal()
      const cancelled = reader.cancel('enough')
      if (!isLate) channel.write(1)
      channel.seal()
      await cancelled
      expect(await waiting).toEqual({ done: true, value: undefined })
      await turns()
      expect(channel.tryRead()).toBe(1)
      await channel.close()
    }
  })

  it('leaving for await loses nothing', async () => {
    for (let leaveAfter = 1; leaveAfter <= 3; leaveAfter++) {
      const channel = numbers(5)
      const errors = errorsOf(channel)
      const seen: number[] = []
      for await (const n of channel.toReadableStream()) {
        seen.push(n)
        await turns(1)
        if (seen.length === leaveAfter) break
      }
      expect(seen).toEqual(range(0, leaveAfter))
      expect(await channel.readBatch(9)).toEqual(range(leaveAfter, 5))
      expect(errors).toEqual([])
      await channel.close()
    }
  })

  it('a signal fails it with its reason, waiting or aborted before, and keeps no listener', async () => {
    const gone = new AbortController()
    const channel = items<number>()
    const reader = channel.toReadableStream({ signal: gone.signal }).getReader()
    const waiting = reader.read()
    await turns()
    gone.abort('enough')
    await expect(waiting).rejects.toBe('enough')
    await expect(channel.toReadableStream({ signal: gone.signal }).getReader().read()).rejects.toBe('enough')
    channel.write(1)
    channel.seal()
    await turns()
    expect(channel.tryRead()).toBe(1)
    await channel.close()
    const { signal } = new AbortController()
    expect(await all(channel.toReadableStream({ signal }))).toEqual([])
    const left = items().toReadableStream({ signal })
    await left.cancel()
    expect([...getEventListeners(gone.signal, 'abort'), ...getEventListeners(signal, 'abort')]).toEqual([])
  })

  it('a sink that fails: the rest stays in the channel', async () => {
    const channel = numbers(10)
    const sink = new WritableStream<number>({
      write(n) {
        if (n === 3) throw new Error('the sink broke')
      },
    })
    await expect(channel.toReadableStream().pipeTo(sink)).rejects.toThrow('the sink broke')
    const next = channel.tryRead() as number
    expect(next).toBeGreaterThanOrEqual(4)
    expect(next).toBeLessThanOrEqual(5) // pipeTo had fetched one more while the sink was asked.
    await channel.close({ drain: false })
  })

  it('tee gives every record to both', async () => {
    const channel = numbers(20)
    void channel.close()
    const both = channel.toReadableStream().tee()
    expect(await Promise.all(both.map((stream) => all(stream)))).toEqual([range(0, 20), range(0, 20)])
  })

  it('INVALID_CONFIG for a signal that is none', () => {
    const signal = 'x' as never
    expect(() => items().toReadableStream({ signal })).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }))
  })
})

describe('CH-16: toWritableStream', () => {
  it('each write is one record; close seals', async () => {
    const channel = bytes()
    const writer = channel.toWritableStream().getWriter()
    for (const text of ['ab', '', 'c']) await writer.write(Buffer.from(text))
    await writer.close()
    const chunks = await channel.readBatch(9)
    expect(chunks.map((chunk) => chunk.bytes.toString())).toEqual(['ab', '', 'c'])
    expect(channel.state).toBe('open')
    await channel.close()
  })

  it('CH-17: a write waits above the soft limit', async () => {
    const channel = items<number>({ bufferMaxRecords: 10 })
    const writer = channel.toWritableStream().getWriter()
    let written = 0
    for (const n of range(0, 20)) void writer.write(n).then(() => written++)
    const closed = writer.close()
    await turns()
    expect([channel.pendingRecords, written]).toEqual([8, 7])
    const seen: number[] = []
    while (seen.length < 20) seen.push(...(await channel.readBatch(100)))
    await turns()
    expect(seen).toEqual(range(0, 20))
    expect(written).toBe(20)
    await closed
    await channel.close()
  })

  it('aborted while a write waits: it fails with the reason and is not written; no waiter stays', async () => {
    const channel = bytes({ bufferMemoryBytes: 100 })
    const writer = channel.toWritableStream({ closesChannel: true }).getWriter()
    await writer.write(Buffer.alloc(60))
    const waiting = writer.write(Buffer.alloc(60))
    const told = expect(waiting).rejects.toBe('enough')
    await turns()
    await writer.abort('enough')
    await told
    channel.tryRead()?.release()
    await turns()
    expect([channel.usedBytes, channel.pendingRecords, channel.state]).toEqual([0, 0, 'open'])
    await expect(writer.closed).rejects.toBe('enough')
    await channel.close()
  })

  it('CH-19: closesChannel waits until readers have taken everything; too late is an error', async () => {
    const channel = items<number>()
    const writer = channel.toWritableStream({ closesChannel: true }).getWriter()
    void writer.write(1)
    let isClosed = false
    void writer.close().then(() => {
      isClosed = true
    })
    await turns()
    expect([isClosed, channel.state]).toEqual([false, 'closing'])
    expect(await channel.read()).toBe(1)
    await turns()
    expect([isClosed, channel.state]).toEqual([true, 'closed'])

    const unread = items<number>()
    const late = unread.toWritableStream({ closesChannel: { timeoutMs: 0 } }).getWriter()
    void late.write(1)
    await expect(late.close()).rejects.toMatchObject({ code: 'TIMEOUT', context: { undelivered: 1 } })
    await expect(late.closed).rejects.toMatchObject({ code: 'TIMEOUT' })
  })

  it('a channel that is closed under it: PRODUCER_CLOSED; what cannot be written: its error', async () => {
    const channel = items<number>()
    const writer = channel.toWritableStream().getWriter()
    await channel.close()
    await expect(writer.write(1)).rejects.toMatchObject({ code: 'PRODUCER_CLOSED' })
    await expect(writer.closed).rejects.toMatchObject({ code: 'PRODUCER_CLOSED' })
    const text = bytes().toWritableStream().getWriter()
    await expect(text.write('no bytes' as never)).rejects.toMatchObject({ code: 'SERIALIZATION_FAILED' })
    await expect(text.closed).rejects.toMatchObject({ code: 'SERIALIZATION_FAILED' })
  })
})
