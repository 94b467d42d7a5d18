import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import type { Transport } from '../../lib/net/index.js'
import { deferred, FakeClock } from '../../lib/util/index.js'
import { atEnd, framed, nextFrame, open, rawClient, rawServer, serve, whenClosed } from './support.js'

const over = new MQError('CONNECTION_CLOSED', 'enough')
const MIB = 1024 * 1024

async function pair(): Promise<{ client: Transport; server: Transport }> {
  const accepted = deferred<Transport>()
  const listener = await serve(accepted.resolve)
  const client = await open(listener.port)
  return { client, server: await accepted.promise }
}

/** A peer that accepts and never reads: its socket and ours fill up. */
async function deafPeer(): Promise<number> {
  const { port } = await rawServer((socket) => socket.pause())
  return port
}

/** Writes until the socket is full, and some more. */
function fill(transport: Transport, onFlushed?: () => void): number {
  let writes = 0
  while (transport.pendingBytes < 4 * MIB && writes < 200) {
    transport.write([Buffer.alloc(MIB)], onFlushed)
    writes++
  }
  return writes
}

describe('SocketTransport', () => {
  it('W-12: segments leave in order as one frame, and come as one', async () => {
    const { client, server } = await pair()
    const arrived = nextFrame(server)
    client.write([Buffer.from([0, 0, 0, 11]), Buffer.from('hello '), new Uint8Array(0), Buffer.from('world')])
    expect(Buffer.from(await arrived).toString()).toBe('hello world')
  })

  it('W-12: all segments of a write go to the socket in one writev', async () => {
    const { client, server } = await pair()
    const { Socket } = await import('node:net')
    const original = Socket.prototype._writev
    const batches: number[] = []
    Socket.prototype._writev = function counted(chunks, callback) {
      batches.push(chunks.length)
      return original?.call(this, chunks, callback)
    }
    atEnd(() => {
      Socket.prototype._writev = original as NonNullable<typeof original>
    })
    const arrived = nextFrame(server)
    client.write([Buffer.from([0, 0, 0, 6]), Buffer.from('abc'), Buffer.from('def')])
    await arrived
    expect(batches).toEqual([3])
  })

  it('the receiver owns a frame: later traffic leaves it as it was', async () => {
    const { client, server } = await pair()
    const frames: Uint8Array[] = []
    const done = deferred<void>()
    server.onFrame = (frame) => {
      frames.push(frame)
      if (frames.length === 300) done.resolve()
    }
    for (let index = 0; index < 300; index++) client.write([framed(Buffer.alloc(5000, index % 251))])
    await done.promise
    expect(frames.every((frame, index) => frame.every((byte) => byte === index % 251))).toBe(true)
  })

  it('P-10: a full socket answers false, says drain once it is empty, and write callbacks come in order', async () => {
    const { client, server } = await pair()
    server.pause()
    const flushed: number[] = []
    let wrote = true
    let writes = 0
    for (; wrote && writes < 200; writes++) {
      const index = writes
      wrote = client.write([framed(Buffer.alloc(MIB))], () => flushed.push(index))
    }
    expect(wrote).toBe(false)
    expect(client.pendingBytes).toBeGreaterThan(0)
    const drained = deferred<void>()
    client.onDrain = drained.resolve
    server.resume()
    await drained.promise
    expect(client.pendingBytes).toBe(0)
    expect(flushed).toEqual(Array.from({ length: writes }, (_, index) => index))
  })

  it('W-13: onClosed comes after the socket is gone and every write callback has fired, and none claims to be flushed', async () => {
    const client = await open(await deafPeer())
    let flushed = 0
    const writes = fill(client, () => flushed++)
    const flushedBefore = flushed
    expect(writes).toBeGreaterThan(flushedBefore)
    const closed = whenClosed(client)
    client.destroy(over)
    expect(client.isOpen).toBe(false)
    expect(await closed).toBe(over)
    expect(flushed).toBe(flushedBefore)
    expect(client.pendingBytes).toBe(0)
  })

  it('W-13: bytes may be overwritten after onClosed and never reach the peer', async () => {
    const received: Buffer[] = []
    const arrived = deferred<void>()
    const { port } = await rawServer((socket) => {
      socket.pause()
      socket.on('data', (chunk) => received.push(chunk))
      socket.on('close', () => arrived.resolve())
      arrived.promise.catch(() => {})
      resumeLater = () => socket.resume()
    })
    let resumeLater = () => {}
    const client = await open(port)
    const arenas = Array.from({ length: 12 }, () => Buffer.alloc(MIB, 'a'))
    for (const arena of arenas) client.write([arena])
    const closed = whenClosed(client)
    client.destroy(over)
    await closed
    for (const arena of arenas) arena.fill('X')
    resumeLater()
    await arrived.promise
    expect(Buffer.concat(received).includes('X')).toBe(false)
  })

  it('the first reason counts, a second destroy and writes after the end do nothing', async () => {
    const { client } = await pair()
    const closed = whenClosed(client)
    client.destroy(over)
    client.destroy(new MQError('CONNECTION_TIMEOUT', 'later'))
    expect(client.write([framed(Buffer.from('late'))], () => expect.unreachable())).toBe(false)
    expect(await closed).toBe(over)
  })

  it('an end by the peer is told, and says when it cut a frame', async () => {
    const accepted = deferred<Transport>()
    const listener = await serve(accepted.resolve)
    const socket = rawClient(listener.port)
    socket.write(framed(Buffer.alloc(100)).subarray(0, 50))
    const server = await accepted.promise
    const closed = whenClosed(server)
    socket.end()
    const reason = await closed
    expect(reason.code).toBe('CONNECTION_CLOSED')
    expect(reason.message).toContain('in the middle of a frame')
  })

  it('a reset by the peer is CONNECTION_CLOSED with its cause', async () => {
    const { port } = await rawServer((socket) => socket.on('data', () => socket.resetAndDestroy()))
    const client = await open(port)
    const closed = whenClosed(client)
    client.write([framed(Buffer.from('data'))])
    const reason = await closed
    expect(reason.code).toBe('CONNECTION_CLOSED')
    expect(String(reason.cause)).toContain('ECONNRESET')
  })

  it('W-7: a size out of bounds destroys the connection; what came before it was delivered', async () => {
    const accepted = deferred<Transport>()
    const listener = await serve(accepted.resolve, { maxFrameBytes: 1000 })
    const frames: string[] = []
    const socket = rawClient(listener.port)
    const server = await accepted.promise
    server.onFrame = (frame) => frames.push(Buffer.from(frame).toString())
    const closed = whenClosed(server)
    socket.write(Buffer.concat([framed(Buffer.from('good')), Buffer.from([0, 0, 4, 0]), Buffer.alloc(1024)]))
    const reason = await closed
    expect(frames).toEqual(['good'])
    expect(reason.context).toMatchObject({ reason: 'MALFORMED_FRAME', size: 1024, maxFrameBytes: 1000 })
  })

  it('a handler that throws ends its connection and is the cause; no other is touched', async () => {
    const { client, server } = await pair()
    const closed = whenClosed(server)
    server.onFrame = () => {
      throw new TypeError('our own mistake')
    }
    client.write([framed(Buffer.from('data'))])
    const reason = await closed
    expect(reason.code).toBe('CONNECTION_CLOSED')
    expect(reason.cause).toBeInstanceOf(TypeError)
  })

  it('W-12: a peer that takes no byte for writeTimeoutMs is given up; no timer remains', async () => {
    const clock = new FakeClock()
    const client = await open(await deafPeer(), { clock, writeTimeoutMs: 1000 })
    const closed = whenClosed(client)
    fill(client)
    await turns()
    clock.advance(500)
    await turns()
    expect(client.isOpen).toBe(true)
    for (let step = 0; step < 12 && client.isOpen; step++) {
      clock.advance(125)
      await turns()
    }
    const reason = await closed
    expect(reason.code).toBe('CONNECTION_TIMEOUT')
    expect(reason.context['pendingBytes']).toBeGreaterThan(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('W-12: slow is not stalled: a peer that takes a little within each limit keeps one huge write alive', async () => {
    const clock = new FakeClock()
    const accepted = deferred<Socket>()
    const { port } = await rawServer((socket) => {
      socket.pause()
      accepted.resolve(socket)
    })
    const client = await open(port, { clock, writeTimeoutMs: 1000 })
    client.write([Buffer.alloc(128 * MIB)])
    const peer = await accepted.promise
    for (let step = 0; step < 20; step++) {
      // Far less than the kernel's buffers hold would not even open the window again.
      for (const from = peer.bytesRead; peer.bytesRead < from + MIB; await turns(1)) peer.read()
      clock.advance(125)
    }
    expect(client.pendingBytes).toBeGreaterThan(0)
    expect(client.isOpen).toBe(true)
  })

  it('K-23: no timer while nothing is pending', async () => {
    const clock = new FakeClock()
    const accepted = deferred<Transport>()
    const listener = await serve(accepted.resolve)
    const client = await open(listener.port, { clock, writeTimeoutMs: 1000 })
    const arrived = nextFrame(await accepted.promise)
    client.write([framed(Buffer.from('ping'))])
    await arrived
    await turns()
    clock.advance(125)
    expect(clock.pendingTimers).toBe(0)
  })
})

/** Lets sockets make progress: some turns of the event loop. */
async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
