/** Slow readers, floods, and what is known of bytes under way: memory stays bounded, nothing is lost, others do not notice. */
import { describe, expect, it } from 'vitest'
import type { Connection } from '../../../lib/net/index.js'
import { seededRandom } from '../../../lib/util/index.js'
import { Calls, type Client, client, frame, framed, raw, turn } from './support.js'

describe('the flow of bytes', () => {
  it('NT-6: send says false above writeBufferBytes, the message is queued, onDrain follows, onSent comes once in order', async () => {
    const drains = new Calls<number>()
    const sent: string[] = []
    const answers: boolean[] = []
    const lengths: number[] = []
    const { port } = await raw(
      {
        onMessage: (c) => {
          for (let index = 0; index < 4; index++) {
            const told = (error: Error | null) => sent.push(`${index} ${error}`)
            answers.push(c.send(Buffer.alloc(400_000, index), { onSent: told }))
            lengths.push(c.writeBufferLength)
          }
        },
        onDrain: (c) => drains.add(c.writeBufferLength),
      },
      { writeBufferBytes: 1_000_000 },
    )
    const one = await client(port)
    one.write('go')
    const got = await one.bytes(1_600_000)
    for (let index = 0; index < 4; index++)
      expect(got.subarray(index * 400_000, (index + 1) * 400_000).every((byte) => byte === index)).toBe(true)
    expect(answers).toEqual([true, true, false, false])
    expect(lengths).toEqual([400_000, 800_000, 1_200_000, 1_600_000])
    expect(await drains.count(1)).toEqual([0])
    expect(sent).toEqual(['0 null', '1 null', '2 null', '3 null'])
  })

  it('NT-6: zero bytes are sent: onSent is told, nothing is written', async () => {
    const sent = new Calls<string>()
    const { port } = await raw({
      onMessage: (c) => {
        c.send('', { onSent: (error) => sent.add(`empty ${error}`) })
        c.send('x', { onSent: (error) => sent.add(`x ${error}`) })
        c.send(new Uint8Array(0), { onSent: (error) => sent.add(`behind ${error}`) })
      },
    })
    const one = await client(port)
    one.write('go')
    expect(await one.text(1)).toBe('x')
    expect(await sent.count(3)).toEqual(['empty null', 'x null', 'behind null'])
  })

  it('NT-6: what is sent from onSent and onDrain leaves', async () => {
    const { port } = await raw(
      {
        onMessage: (c) => {
          c.send('one ', { onSent: () => c.send('two ', { onSent: () => c.send('three ') }) })
        },
        onDrain: (c) => {
          if (c.get('drained') === undefined) c.send('drained')
          c.set('drained', true)
        },
      },
      { writeBufferBytes: 3 },
    )
    const one = await client(port)
    one.write('go')
    const text = await one.text('one two three drained'.length)
    expect(text.split(/(?<= )|(?=drained)/).sort()).toEqual(['drained', 'one ', 'three ', 'two '])
  })

  it('GW-3: a client that floods and does not read is read no further; others are served; then all of it arrives', async () => {
    const connections: Connection<undefined, Buffer, Uint8Array>[] = []
    let most = 0
    const limit = 256 * 1024
    const { server, port } = await framed(
      {
        onConnect: (c) => void connections.push(c),
        onMessage: (c, _ctx, data) => {
          most = Math.max(most, c.writeBufferLength)
          return data
        },
      },
      { writeBufferBytes: limit },
    )
    const flooder = await client(port)
    const one = frame(Buffer.alloc(64 * 1024, 3))
    const total = 400 // 26 MB
    flooder.socket.pause()
    for (let index = 0; index < total; index++) flooder.write(one)
    // Until nothing moves any more: the server has stopped reading.
    for (let before = -1; before !== server.measures().bytesIn; ) {
      before = server.measures().bytesIn
      for (let turns = 0; turns < 200; turns++) await turn()
    }
    expect(server.measures().bytesIn).toBeLessThan(total * one.length)
    expect(most).toBeLessThan(limit + 2 * one.length)
    expect(connections[0]?.writeBufferLength).toBeGreaterThan(0)
    expect(connections[0]?.readBufferLength).toBeLessThan(128 * 1024)

    const other = await client(port)
    other.write(frame('served'))
    expect(await other.bytes(10)).toEqual(frame('served'))

    flooder.socket.resume()
    const got = await flooder.bytes(total * one.length)
    expect(got.equals(Buffer.concat(Array.from({ length: total }, () => one)))).toBe(true)
    expect(connections[0]?.writeBufferLength).toBe(0)
  })

  it('NT-6: pause keeps what came, resume gives it: also inside onMessage and from elsewhere', async () => {
    const seen = new Calls<string>()
    let connection: Connection<undefined, Buffer, Uint8Array> | undefined
    const { port } = await framed({
      onMessage: (c, _ctx, data) => {
        connection = c
        seen.add(data.toString())
        c.pause()
      },
    })
    const one = await client(port)
    one.write(Buffer.concat(['1', '2', '3'].map(frame)))
    for (let count = 1; count <= 3; count++) {
      await seen.count(count)
      for (let turns = 0; turns < 3; turns++) await turn()
      expect(seen.all).toHaveLength(count)
      connection?.resume()
    }
    expect(seen.all).toEqual(['1', '2', '3'])
  })

  it('NT-6: what many send to one connection in a turn, and one to many, arrives in order', async () => {
    const connections: Connection<undefined, Buffer, Uint8Array>[] = []
    const { port } = await framed({
      onConnect: (c) => void connections.push(c),
      onMessage: (_c, _ctx, data) => {
        for (let round = 0; round < 3; round++)
          for (const each of connections) {
            each.send(Buffer.concat([data, Buffer.of(round)]))
            each.send(Buffer.alloc(20_000, round))
          }
      },
    })
    const clients = await Promise.all(Array.from({ length: 5 }, () => client(port)))
    while (connections.length < 5) await turn()
    clients[0]?.write(frame('m'))
    const expected = Buffer.concat(
      [0, 1, 2].flatMap((round) => [
        frame(Buffer.from(`m${String.fromCharCode(round)}`)),
        frame(Buffer.alloc(20_000, round)),
      ]),
    )
    for (const one of clients) expect((await one.bytes(expected.length)).equals(expected)).toBe(true)
  })

  it('NT-1: echo: 100 clients, random frames to 1 MiB, also empty ones: equal bytes (part 7)', async () => {
    const { server, port, errors } = await framed({
      onMessage: (_c, _ctx, data) => (data.length % 3 === 0 ? Promise.resolve(data) : data),
    })
    const clients = await Promise.all(Array.from({ length: 100 }, () => client(port)))
    const echo = async (one: Client, seed: number) => {
      const random = seededRandom(seed)
      const parts = Array.from({ length: 6 }, (_, index) => {
        const size = index === 0 ? 0 : Math.floor(2 ** (random.next() * 20.001))
        return frame(Buffer.alloc(Math.min(size, 1024 * 1024), Math.floor(random.next() * 256)))
      })
      const sent = Buffer.concat(parts)
      // Cut anywhere, not at frames.
      for (let at = 0; at < sent.length; ) {
        const end = Math.min(sent.length, at + 1 + Math.floor(random.next() * 100_000))
        one.write(sent.subarray(at, end))
        at = end
        if (random.next() < 0.2) await turn()
      }
      const chunks = await one.bytes(sent.length)
      expect(chunks.equals(sent), `seed ${seed}`).toBe(true)
    }
    await Promise.all(clients.map((one, seed) => echo(one, seed)))
    expect(errors).toEqual([])
    expect(server.measures().bytesIn).toBe(server.measures().bytesOut)
  })
})
