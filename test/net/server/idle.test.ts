/** What waits too long: idle connections, half messages. The clock is turned by hand. */
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../lib/util/index.js'
import { Calls, client, frame, framed, raw, turn } from './support.js'

const turns = async (count: number) => {
  for (let index = 0; index < count; index++) await turn()
}

describe('idleMs and frameTimeoutMs', () => {
  it('NT-7: 100 silent connections end when idleMs have passed, none before, and are counted (part 7)', async () => {
    const clock = new FakeClock()
    const closes = new Calls<number>()
    const { server, port } = await raw(
      { onMessage: () => {}, onClose: () => closes.add(clock.monotonicMs()) },
      { clock, idleMs: 3000 },
    )
    const clients = await Promise.all(Array.from({ length: 100 }, () => client(port)))
    while (server.connections < 100) await turn()
    clock.advance(2999)
    await turns(3)
    expect(server.connections).toBe(100)
    clock.advance(1)
    await Promise.all(clients.map((one) => one.closed))
    expect((await closes.count(100)).every((atMs) => atMs >= 3000 && atMs <= 4000)).toBe(true)
    expect(server.measures()).toMatchObject({ connections: 0, idleClosed: 100 })
  })

  it('NT-7: reads and completed writes both keep a connection alive, to the millisecond', async () => {
    const clock = new FakeClock()
    let closedAtMs = -1
    const { server, port } = await raw(
      {
        onConnect: (c) => void server.runEvery(400, () => c.connected && clock.monotonicMs() < 2000 && c.send('push')),
        onMessage: () => {},
        onClose: () => {
          closedAtMs = clock.monotonicMs()
        },
      },
      { clock, idleMs: 500 },
    )
    const one = await client(port)
    while (server.connections < 1) await turn()
    // Only writes until 1600 ...
    for (let step = 1; step <= 16; step++) {
      clock.advance(100)
      await turn()
      if (step % 4 === 0) await one.bytes(step)
    }
    expect(server.connections).toBe(1)
    // ... then a read.
    clock.advance(350)
    one.write('x')
    while (server.measures().bytesIn < 1) await turn()
    clock.advance(499)
    await turns(3)
    expect([server.connections, closedAtMs]).toEqual([1, -1])
    clock.advance(1)
    await one.closed
    while (server.connections > 0) await turn()
    expect(closedAtMs).toBe(1600 + 350 + 500)
  })

  it('NT-7: an answer that is owed keeps its connection alive', async () => {
    const clock = new FakeClock()
    let answer = (_data: Buffer) => {}
    const { server, port } = await framed(
      { onMessage: () => new Promise<Buffer>((resolve) => (answer = resolve)) },
      { clock, idleMs: 1000 },
    )
    const one = await client(port)
    one.write(frame('x'))
    while (server.measures().bytesIn === 0) await turn()
    for (let second = 0; second < 10; second++) clock.advance(1000)
    await turns(2)
    answer(Buffer.from('late'))
    expect(await one.bytes(8)).toEqual(frame('late'))
    clock.advance(1000)
    expect(await one.ended).toBe('end')
  })

  it('NT-7: a peer that reads nothing for idleMs is closed, whatever waits for it', async () => {
    const clock = new FakeClock()
    const closes = new Calls<unknown>()
    const { port, server } = await raw(
      {
        onConnect: (c) => void c.send(Buffer.alloc(30_000_000)),
        onMessage: () => {},
        onClose: (_c, error) => closes.add(error),
      },
      { clock, idleMs: 1000, closeTimeoutMs: 500 },
    )
    const one = await client(port)
    one.socket.pause()
    while (server.connections < 1) await turn()
    await turns(20)
    clock.advance(1000)
    clock.advance(500)
    expect(await closes.count(1)).toMatchObject([{ context: { idleMs: 1000 } }])
    expect(server.measures().idleClosed).toBe(1)
  })

  it('trap 21: half a frame and silence ends its own connection after frameTimeoutMs; slow whole frames do not', async () => {
    const clock = new FakeClock()
    const closes = new Calls<{ id: number; error: unknown }>()
    const { server, port, errors } = await framed(
      { onMessage: (_c, _ctx, data) => data, onClose: ({ id }, error) => closes.add({ id, error }) },
      { clock, frameTimeoutMs: 1000 },
    )
    const loris = await client(port)
    loris.write(frame('slow').subarray(0, 3))
    while (server.measures().bytesIn < 3) await turn()
    const honest = await client(port)
    const bytes = frame('ab')
    for (let index = 0, came = 3; index < 12; index++) {
      // A byte every 150 ms: the message is complete within the limit, and so is each of those after it.
      honest.write(Buffer.of(bytes[index % 6] as number))
      came++
      while (server.measures().bytesIn < came) await turn()
      clock.advance(150)
    }
    expect(await loris.ended).toBe('end')
    expect(await closes.count(1)).toMatchObject([{ id: 1, error: { context: { frameTimeoutMs: 1000, bytes: 3 } } }])
    expect(await honest.bytes(12)).toEqual(Buffer.concat([bytes, bytes]))
    clock.advance(5000)
    await turns(3)
    expect(server.connections).toBe(1)
    expect(errors).toEqual([])
  })
})
