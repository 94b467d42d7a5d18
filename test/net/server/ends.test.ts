/** How connections end, by whom and when: every way tells the handler once, and loses nothing that was queued. */
import { describe, expect, it } from 'vitest'
import type { Connection } from '../../../lib/net/index.js'
import { deferred } from '../../../lib/util/index.js'
import { Calls, client, frame, framed, frames, raw, turn } from './support.js'

type Any = Connection<undefined, Buffer, Uint8Array>

describe('the end of a connection', () => {
  it('NT-1: close in onConnect: the client sees the end, the handler the close', async () => {
    const told = new Calls<string>()
    const { port } = await raw({
      onConnect: (c) => {
        c.send('bye')
        c.close()
      },
      onMessage: () => void told.add('message'),
      onClose: (_c, error) => told.add(`close ${error}`),
    })
    const one = await client(port)
    one.write('unheard')
    expect(await one.ended).toBe('end')
    expect(one.received.toString()).toBe('bye')
    expect(await told.count(1)).toEqual(['close null'])
  })

  it("NT-6: close inside onMessage: what was sent before leaves, what comes after is nobody's", async () => {
    const seen: string[] = []
    const states: string[] = []
    const { port } = await framed({
      onMessage: (c, _ctx, data) => {
        seen.push(data.toString())
        if (seen.length < 3) return data
        c.send(Buffer.from('last'))
        c.close()
        c.close()
        states.push(c.state)
        return Buffer.from('not sent')
      },
    })
    const one = await client(port)
    one.write(Buffer.concat(['1', '2', '3', '4', '5'].map(frame)))
    expect(await one.ended).toBe('end')
    expect(one.received).toEqual(Buffer.concat([frame('1'), frame('2'), frame('last')]))
    expect(seen).toEqual(['1', '2', '3'])
    expect(states).toEqual(['closing'])
  })

  it('WS 7.1.1: a close with unread bytes behind it does not reset the peer', async () => {
    const { port } = await framed({
      onMessage: (c) => {
        c.send(Buffer.from('farewell'))
        c.close()
      },
    })
    const one = await client(port)
    // Far more than is read at once, so that bytes stand in the system's buffer when our side ends.
    one.write(Buffer.concat([frame('x'), Buffer.alloc(4_000_000)]))
    expect(await one.ended).toBe('end')
    expect(one.received).toEqual(frame('farewell'))
  })

  it('NT-6: a peer that ended its side is still answered, also what is a promise', async () => {
    const gate = deferred<void>()
    const closes = new Calls<unknown>()
    const { port } = await framed({
      onMessage: async (_c, _ctx, data) => {
        await gate.promise
        return data
      },
      onClose: (_c, error) => closes.add(error),
    })
    const one = await client(port, { allowHalfOpen: true })
    const sent = Buffer.concat(['1', '', '3'].map(frame))
    one.socket.end(sent)
    for (let turns = 0; turns < 5; turns++) await turn()
    expect(closes.all).toEqual([])
    gate.resolve()
    expect(await one.ended).toBe('end')
    expect(one.received).toEqual(sent)
    expect(await closes.count(1)).toEqual([null])
  })

  it('NT-6: a peer that ends inside a message is told apart from one that ends between them', async () => {
    const closes = new Calls<unknown>()
    const { port, errors } = await framed({ onMessage: () => {}, onClose: (_c, error) => closes.add(error) })
    const one = await client(port)
    one.socket.end(frame('whole').subarray(0, 6))
    await closes.count(1)
    expect(closes.all[0]).toMatchObject({ code: 'CONNECTION_CLOSED', context: { bytes: 6 } })
    expect(errors).toEqual([])
  })

  it('NT-6: a reset in the middle: onClose once with the cause, onSent with CONNECTION_CLOSED', async () => {
    const closes = new Calls<unknown>()
    const sent = new Calls<unknown>()
    const { port, errors, server } = await framed(
      {
        onMessage: (c) => {
          // More than the system takes while nobody reads.
          for (let index = 0; index < 3; index++)
            c.send(Buffer.alloc(8_000_000), { onSent: (error) => sent.add(error) })
        },
        onClose: (_c, error) => closes.add(error),
      },
      { writeBufferBytes: 100_000_000 },
    )
    const one = await client(port)
    one.socket.pause()
    one.write(frame('go'))
    while (server.measures().bytesIn === 0) await turn()
    one.socket.resetAndDestroy()
    await closes.count(1)
    expect(closes.all).toMatchObject([{ code: 'CONNECTION_CLOSED' }])
    expect(sent.all.at(-1)).toMatchObject({ code: 'CONNECTION_CLOSED' })
    expect(sent.all).toHaveLength(3)
    expect(errors).toEqual([])
  })

  it('NT-6: after the end send throws and tells onSent; shutdownWrite is after what was queued, and reads on', async () => {
    const told: unknown[] = []
    const messages = new Calls<string>()
    const { port } = await framed({
      onMessage: (c, _ctx, data) => {
        messages.add(data.toString())
        if (messages.all.length > 1) return data
        c.send(Buffer.from('queued'))
        c.shutdownWrite()
        expect(() => c.send(Buffer.from('late'), { onSent: (error) => told.push(error) })).toThrow(/takes nothing more/)
        return data
      },
    })
    const one = await client(port, { allowHalfOpen: true })
    one.write(frame('first'))
    expect(await one.ended).toBe('end')
    expect(one.received).toEqual(frame('queued'))
    expect(told).toMatchObject([{ code: 'CONNECTION_CLOSED' }])
    one.write(frame('second'))
    expect(await messages.count(2)).toEqual(['first', 'second'])
  })

  it('NT-1: stop sends what is queued, answers what is owed, and tells every handler once', async () => {
    const closes: number[] = []
    const gates: (() => void)[] = []
    const { server, port } = await framed({
      onMessage: async (_c, _ctx, data) => {
        const { promise, resolve } = deferred<void>()
        gates.push(resolve)
        await promise
        return data
      },
      onClose: (c) => void closes.push(c.id),
    })
    const clients = await Promise.all([client(port), client(port), client(port)])
    const big = frame(Buffer.alloc(3_000_000, 5))
    for (const one of clients) one.write(big)
    while (gates.length < 3) await turn()
    const stopping = server.stop({ timeoutMs: 10_000 })
    expect(server.state).toBe('stopping')
    for (const open of gates) open()
    await stopping
    expect(closes.sort()).toEqual([1, 2, 3])
    for (const one of clients) {
      expect(await one.ended).toBe('end')
      expect(one.received.equals(big)).toBe(true)
    }
  })

  it('NT-1: stop waits no longer than it was told for a peer that does not read', async () => {
    const closes = new Calls<unknown>()
    const { server, port } = await raw(
      {
        onConnect: (c) => void c.send(Buffer.alloc(30_000_000)),
        onMessage: () => {},
        onClose: (_c, error) => closes.add(error),
      },
      { closeTimeoutMs: 60_000 },
    )
    const one = await client(port)
    one.socket.pause()
    while (server.connections === 0) await turn()
    await server.stop({ timeoutMs: 50 })
    expect(closes.all).toMatchObject([{ code: 'CONNECTION_CLOSED' }])
  })

  it('NT-6: a peer that never ends is ended after closeTimeoutMs', async () => {
    const closes = new Calls<unknown>()
    const { port } = await raw(
      { onMessage: (c) => c.close(), onClose: (_c, error) => closes.add(error) },
      { closeTimeoutMs: 30 },
    )
    const one = await client(port, { allowHalfOpen: true })
    one.write('x')
    await closes.count(1)
    expect(closes.all).toMatchObject([{ code: 'CONNECTION_CLOSED', context: { closeTimeoutMs: 30 } }])
  })

  it('NT-4: a protocol is told of the beginning and the end, and says farewell with the reason', async () => {
    const told: string[] = []
    const closed = new Calls<string>()
    const { port } = await framed(
      {
        onConnect: () => void told.push('connect'),
        onMessage: (c, _ctx, data) => (data.length === 0 ? c.close() : data),
        onClose: () => closed.add('close'),
      },
      {
        protocol: {
          ...frames,
          opened: (c) => {
            told.push('opened')
            c.sendPacked(Buffer.from('hi'))
          },
          farewell: (_c, error) => Buffer.from(`farewell ${error}`),
          closed: () => void told.push('closed'),
        },
      },
    )
    const one = await client(port)
    one.write(Buffer.concat([frame('m'), frame('')]))
    expect(await one.ended).toBe('end')
    expect(one.received).toEqual(Buffer.concat([Buffer.from('hi'), frame('m'), Buffer.from('farewell null')]))
    await closed.count(1)
    expect(told).toEqual(['opened', 'connect', 'closed'])
  })

  it('NT-6: destroy ends at once, from every callback', async () => {
    for (const where of ['onConnect', 'onMessage', 'onSent', 'onDrain'] as const) {
      const closes = new Calls<unknown>()
      const end = (at: string, c: Any) => (at === where ? c.destroy() : undefined)
      const { port, errors } = await framed(
        {
          onConnect: (c) => end('onConnect', c),
          onMessage: (c, _ctx, data) => {
            end('onMessage', c)
            if (where !== 'onMessage') c.send(Buffer.alloc(100), { onSent: () => end('onSent', c) })
            return where === 'onMessage' ? data : undefined
          },
          onDrain: (c) => end('onDrain', c),
          onClose: (_c, error) => closes.add(error),
        },
        { writeBufferBytes: 10 },
      )
      const one = await client(port)
      one.write(frame('x'))
      await closes.count(1)
      expect([where, closes.all, errors]).toEqual([where, [null], []])
    }
  })

  it('NT-1: connections that are reset at once, before or after their first bytes, leave nothing behind', async () => {
    const open = new Set<number>()
    const { server, port, errors } = await framed({
      onConnect: (c) => void open.add(c.id),
      onMessage: (c, _ctx, data) => {
        c.send(data)
        return Promise.resolve(data)
      },
      onClose: (c) => void open.delete(c.id),
    })
    for (let index = 0; index < 60; index++) {
      const one = await client(port)
      if (index % 3 > 0) one.write(frame(Buffer.alloc(100 * index)))
      if (index % 3 === 2) await turn()
      one.socket.resetAndDestroy()
    }
    const last = await client(port)
    last.write(frame('x'))
    await last.bytes(10)
    while (server.connections > 1) await turn()
    expect(open.size).toBe(1)
    expect(errors).toEqual([])
  })
})
