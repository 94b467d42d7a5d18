/** What a server does for its handler: start, messages, answers in order, adoption, timers, figures. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../lib/index.js'
import { Server } from '../../../lib/net/index.js'
import { deferred, FakeClock } from '../../../lib/util/index.js'
import { makeAuthority } from '../../support/certificates.js'
import { atEnd, Calls, Client, client, frame, framed, frames, raw, turn } from './support.js'

describe('a server', () => {
  it('NT-1: tells the handler of connections, messages and ends, and sends what it returns', async () => {
    const told: string[] = []
    const { server, port } = await raw({
      onConnect: (c) => void told.push(`connect ${c.id}`),
      onMessage: (c, _ctx, data) => `${c.id}:${data.toString()}`,
      onClose: (c, error) => void told.push(`close ${c.id} ${error}`),
    })
    expect(server.state).toBe('running')
    expect(server.address).toEqual({ host: '127.0.0.1', port })
    const one = await client(port)
    one.write('hello')
    expect(await one.text(7)).toBe('1:hello')
    expect(server.connections).toBe(1)
    await server.stop()
    expect(told).toEqual(['connect 1', 'close 1 null'])
    expect(await one.ended).toBe('end')
    expect([server.state, server.address, server.connections]).toEqual(['stopped', null, 0])
  })

  it('NT-1: start says why it cannot listen; it starts once, and not after stop', async () => {
    const { port } = await raw({ onMessage: () => {} })
    const second = new Server({ onMessage: () => {} }, { address: `127.0.0.1:${port}` })
    await expect(second.start()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
    expect(second.state).toBe('stopped')
    await expect(second.start()).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })

    const early = new Server({ onMessage: () => {} }, { address: '127.0.0.1:0' })
    const starting = early.start()
    expect(early.start()).toBe(starting)
    await Promise.all([early.stop(), expect(starting).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })])
    await new Server({ onMessage: () => {} }).stop()
  })

  it('NT-1: options out of range are refused by name', () => {
    const refused = (options: object) => {
      try {
        new Server({ onMessage: () => {} }, options)
        return 'taken'
      } catch (error) {
        return (error as { context: { path: string } }).context.path
      }
    }
    for (const address of ['1388', 'host', 'host:65536', '[::1', 'a:b:1', ':-1'])
      expect(refused({ address })).toBe('address')
    for (const address of [':0', 'localhost:1', '[::1]:1']) expect(refused({ address })).toBe('taken')
    expect(refused({ idleMs: -1 })).toBe('idleMs')
    expect(refused({ writeBufferBytes: 0 })).toBe('writeBufferBytes')
    expect(refused({ maxConnections: 0 })).toBe('maxConnections')
    expect(refused({ numLoops: 2 })).toBe('handlerModule')
    expect(new Server({ onMessage: () => {} }).options).toMatchObject({ address: ':1388', numLoops: 1, idleMs: 0 })
  })

  it('trap 21: empty frames are messages, and end nothing', async () => {
    const { port } = await framed({ onMessage: (_c, _ctx, data) => data })
    const one = await client(port)
    const sent = Buffer.concat([frame(''), frame('a'), frame(''), frame(''), frame('bc'), frame('')])
    one.write(sent)
    expect(await one.bytes(sent.length)).toEqual(sent)
  })

  it('NT-1: a message in single bytes arrives whole; many in one chunk arrive one by one', async () => {
    const { port } = await framed({ onMessage: (_c, _ctx, data) => data })
    const one = await client(port)
    one.socket.setNoDelay(true)
    const sent = Buffer.concat([frame('one'), frame(''), frame(Buffer.alloc(300, 7))])
    for (const byte of sent) {
      one.write(Buffer.of(byte))
      await turn()
    }
    one.write(Buffer.concat([sent, sent]))
    expect(await one.bytes(3 * sent.length)).toEqual(Buffer.concat([sent, sent, sent]))
  })

  it('NT-1: promises are answered in the order of their messages, and what is ready waits for those before it', async () => {
    const gates = new Map<string, (value: Buffer | undefined) => void>()
    const { port, server } = await framed({
      onMessage: (_c, _ctx, data) => {
        const name = data.toString()
        if (name.startsWith('now')) return data
        const { promise, resolve } = deferred<Buffer | undefined>()
        gates.set(name, resolve)
        return promise
      },
    })
    const one = await client(port)
    one.write(Buffer.concat(['a', 'now1', 'b', 'c', 'now2'].map(frame)))
    while (gates.size < 3) await turn()
    gates.get('c')?.(Buffer.from('C'))
    gates.get('b')?.(undefined)
    await turn()
    expect(server.measures().bytesOut).toBe(0)
    gates.get('a')?.(Buffer.from('A'))
    const expected = Buffer.concat(['A', 'now1', 'C', 'now2'].map(frame))
    expect(await one.bytes(expected.length)).toEqual(expected)
  })

  it('NT-1: reading pauses while maxPendingMessages answers are owed', async () => {
    const waiting: (() => void)[] = []
    let most = 0
    const { port } = await framed(
      {
        onMessage: async (c, _ctx, data) => {
          most = Math.max(
            most,
            waiting.push(() => {}),
          )
          const { promise, resolve } = deferred<void>()
          waiting[waiting.length - 1] = resolve
          await promise
          expect(c.connected).toBe(true)
          return data
        },
      },
      { maxPendingMessages: 3 },
    )
    const one = await client(port)
    const sent = Buffer.concat(Array.from({ length: 50 }, (_, index) => frame(`m${index}`)))
    one.write(sent)
    let answered = 0
    while (answered < 50) {
      while (waiting.length === 0) await turn()
      for (let looks = 0; looks < 3; looks++) await turn()
      expect(waiting.length).toBeLessThanOrEqual(3)
      waiting.shift()?.()
      answered++
    }
    expect(await one.bytes(sent.length)).toEqual(sent)
    expect(most).toBe(3)
  })

  it('NT-6: keys, context and the peer belong to a connection', async () => {
    const seen = new Calls<unknown[]>()
    const { port } = await raw({
      onConnect: (c) => {
        c.context = { user: 'alice' }
        c.set('k', 1)
      },
      onMessage: (c) => {
        seen.add([
          c.context,
          c.get('k'),
          c.get('none'),
          c.delete('k'),
          c.delete('k'),
          c.get('k'),
          c.peerAddr,
          c.server.connections,
        ])
      },
    })
    const one = await client(port)
    one.write('x')
    await seen.count(1)
    const peer = `127.0.0.1:${one.socket.localPort}`
    expect(seen.all[0]).toEqual([{ user: 'alice' }, 1, undefined, true, false, undefined, peer, 1])
  })

  it('NT-7: above maxConnections a connection is closed and counted; room that comes free is given again', async () => {
    const { server, port } = await raw({ onMessage: (_c, _ctx, data) => data }, { maxConnections: 2 })
    const [one, two] = [await client(port), await client(port)]
    one.write('1')
    two.write('2')
    await Promise.all([one.bytes(1), two.bytes(1)])
    const third = await client(port)
    await third.closed
    expect(server.measures()).toMatchObject({ connections: 2, accepted: 2, rejected: 1 })
    one.socket.destroy()
    while (server.connections > 1) await turn()
    const fourth = await client(port)
    fourth.write('4')
    expect(await fourth.text(1)).toBe('4')
  })

  it('NT-7: reusePort is listened with, or warned of', async () => {
    const server = new Server({ onMessage: (_c, _ctx, data) => data }, { address: '127.0.0.1:0', reusePort: true })
    const warnings: string[] = []
    server.on('warning', (warning) => warnings.push(`${warning.code} ${warning.context.path}`))
    await server.start()
    atEnd(() => server.stop())
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    const can = major >= 24 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
    expect(warnings).toEqual(can ? [] : ['INVALID_CONFIG reusePort'])
    const one = await client(server.address?.port as number)
    one.write('x')
    expect(await one.text(1)).toBe('x')
  })

  it('NT-1: speaks TLS, and stops with handshakes under way', async () => {
    const authority = await makeAuthority()
    const tls = await authority.issue({ hosts: ['127.0.0.1'] })
    const { port, server } = await framed({ onMessage: (_c, _ctx, data) => data }, { tls })
    const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert })
    await once(socket, 'secureConnect')
    const one = new Client(socket)
    const sent = Buffer.concat([frame('x'), frame(Buffer.alloc(300_000, 1)), frame('')])
    one.write(sent)
    expect((await one.bytes(sent.length)).equals(sent)).toBe(true)
    const silent = await client(port)
    await server.stop()
    await Promise.all([one.closed, silent.closed])
    expect(await one.ended).toBe('end')
  })

  it('NT-1: adopts a socket that node:http upgraded, with its head, a protocol and a handler of its own', async () => {
    const closed = new Calls<string>()
    const { server } = await raw({ onMessage: () => 'wrong handler' }, { maxConnections: 1 })
    const http = createServer()
    http.on('upgrade', (_request, socket, head) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')
      server.adopt(socket as never, head, {
        protocol: frames,
        handler: { onMessage: (_c, _ctx, data) => data, onClose: () => closed.add('closed') },
      })
    })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    atEnd(() => void http.close())
    const { port } = http.address() as { port: number }
    const one = await client(port)
    one.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: frames\r\n\r\n')
    one.write(frame('first'))
    const head = 'HTTP/1.1 101 Switching Protocols\r\n\r\n'
    expect((await one.bytes(head.length + 9)).subarray(head.length)).toEqual(frame('first'))
    one.write(frame(''))
    expect((await one.bytes(head.length + 13)).subarray(head.length + 9)).toEqual(frame(''))
    expect(server.measures()).toMatchObject({ connections: 1, accepted: 1 })

    const refused = await client(port)
    refused.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: frames\r\n\r\n')
    await refused.closed
    expect(server.measures().rejected).toBe(1)
    await server.stop()
    expect(closed.all).toEqual(['closed'])
    expect(await one.ended).toBe('end')
  })

  it('NT-8: its timers run at their time, say what failed, and end with it', async () => {
    const clock = new FakeClock()
    const { server, errors } = await raw({ onMessage: () => {} }, { clock })
    const runs: string[] = []
    const every = server.runEvery(1000, () => runs.push('every'))
    server.runAfter(1000, () => runs.push('once'))
    server.runAfter(10, () => {
      throw new Error('broken')
    })
    clock.advance(2500)
    expect(runs).toEqual(['every', 'once', 'every'])
    expect(errors).toMatchObject([{ code: 'CONSUME_FAILED', context: { reason: 'CALLBACK' } }])
    every.stop()
    server.runEvery(1, () => runs.push('late'))
    await server.stop()
    clock.advance(5000)
    expect(runs).toHaveLength(3)
    expect(clock.pendingTimers).toBe(0)
  })

  it('NT-7: its figures are the series net_*', async () => {
    const { server, port } = await raw({ onMessage: (_c, _ctx, data) => data })
    const metrics = createMetrics()
    metrics.attachRoom('net', server)
    const one = await client(port)
    one.write('12345')
    await one.bytes(5)
    const text = await metrics.openMetrics()
    for (const line of ['net_connections 1', 'net_accepted_total 1', 'net_rejected_total 0', 'net_idle_closed_total 0'])
      expect(text).toContain(line)
    expect(text).toMatch(/net_bytes_total\{direction="in"\} 5/)
    expect(text).toMatch(/net_bytes_total\{direction="out"\} 5/)
  })

  it('NT-1: after stop nothing holds the process', async () => {
    const before = process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).length
    const { server, port } = await raw({ onMessage: (_c, _ctx, data) => data }, { idleMs: 60_000 })
    server.runEvery(1000, () => {})
    const one = await client(port)
    one.write('x')
    await one.bytes(1)
    await server.stop()
    await one.closed
    await turn()
    expect(process.getActiveResourcesInfo().filter((name) => /TCP|Timeout/.test(name)).length).toBeLessThanOrEqual(
      before,
    )
  })
})
