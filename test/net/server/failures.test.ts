/** What throws ends one connection, is told as an error of the server, and hurts nobody else. Trap 25. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import type { Handler, Protocol, ServerOptions } from '../../../lib/net/index.js'
import { Calls, client, frame, framed, frames, turn } from './support.js'

type Parts = { handler?: Partial<Handler<undefined, Buffer, Uint8Array>>; protocol?: Partial<typeof frames> }

const broken = (): never => {
  throw new Error('broken')
}
const CASES: Record<string, Parts> = {
  onConnect: { handler: { onConnect: broken } },
  onMessage: { handler: { onMessage: broken } },
  'onMessage, later': { handler: { onMessage: () => Promise.reject(new Error('broken')) } },
  onClose: { handler: { onMessage: (c) => c.close(), onClose: broken } },
  onDrain: { handler: { onDrain: broken } },
  onSent: { handler: { onMessage: (c) => void c.send(Buffer.of(1), { onSent: broken }) } },
  opened: { protocol: { opened: broken } },
  unpack: { protocol: { unpack: broken } },
  pack: { protocol: { pack: broken } },
  farewell: { handler: { onMessage: (c) => c.close() }, protocol: { farewell: broken } },
  closed: { handler: { onMessage: (c) => c.close() }, protocol: { closed: broken } },
  'unpack that takes nothing': { protocol: { unpack: () => ({ ctx: undefined, data: Buffer.alloc(0) }) } },
}

describe('what throws', () => {
  for (const [name, { handler, protocol }] of Object.entries(CASES)) {
    it(`NT-1: in ${name}: one error, one close, the others go on`, async () => {
      const closes = new Calls<number>()
      let isVictim = true
      const of = <T extends object>(parts: T | undefined): Partial<T> => (isVictim ? (parts ?? {}) : {})
      const { port, errors } = await framed(
        {
          onConnect: (c) => of(handler).onConnect?.(c),
          onMessage: (c, ctx, data) =>
            isVictim && handler?.onMessage !== undefined ? handler.onMessage(c, ctx, data) : data,
          onDrain: (c) => of(handler).onDrain?.(c),
          onClose: (c, error) => {
            closes.add(c.id)
            of(handler).onClose?.(c, error)
          },
        },
        {
          writeBufferBytes: 1,
          protocol: {
            unpack: (c, ring) => (of(protocol).unpack ?? frames.unpack)(c, ring),
            pack: (c, data) => (of(protocol).pack ?? frames.pack)(c, data),
            opened: (c) => of(protocol).opened?.(c),
            farewell: (c, error) => of(protocol).farewell?.(c, error),
            closed: (c) => of(protocol).closed?.(c),
          },
        },
      )
      const one = await client(port)
      one.write(frame('x'))
      await one.closed
      // The protocol failed before the handler heard of the connection: it does not hear of its end either.
      if (name !== 'opened') await closes.count(1)
      while (errors.length === 0) await turn()
      expect(errors).toHaveLength(1)
      expect(errors[0]).toBeInstanceOf(MQError)
      expect(errors[0]?.context).toMatchObject({ connection: 1 })
      expect(closes.all).toEqual(name === 'opened' ? [] : [1])

      isVictim = false
      const other = await client(port)
      other.write(frame('y'))
      expect(await other.bytes(5)).toEqual(frame('y'))
      expect(errors).toHaveLength(1)
    })
  }

  it('NT-4: an MQError of a protocol stays what it is, and farewell is asked with it', async () => {
    const refusal = new MQError('CONNECTION_FAILED', 'a lie', { reason: 'MALFORMED_FRAME' })
    const reasons: unknown[] = []
    const protocol: Protocol<undefined, Buffer, Uint8Array> = {
      ...frames,
      unpack: () => {
        throw refusal
      },
      farewell: (_c, error) => {
        reasons.push(error)
        return Buffer.from('1002')
      },
    }
    const { port, errors } = await framed({ onMessage: () => {} }, { protocol })
    const one = await client(port)
    one.write(Buffer.alloc(100_000))
    expect(await one.ended).toBe('end')
    expect(one.received.toString()).toBe('1002')
    expect(errors).toMatchObject([{ code: 'CONNECTION_FAILED', context: { reason: 'MALFORMED_FRAME', connection: 1 } }])
    expect(reasons).toEqual(errors)
  })

  it('NT-4: a message above maxFrameBytes closes its connection, complete or not', async () => {
    const options: ServerOptions<undefined, Buffer, Uint8Array> = { maxFrameBytes: 1000 }
    const { port, errors } = await framed({ onMessage: (_c, _ctx, data) => data }, options)
    const [fits, whole, half] = [await client(port), await client(port), await client(port)]
    fits.write(frame(Buffer.alloc(1000)))
    await fits.bytes(1004)
    whole.write(frame(Buffer.alloc(1001)))
    await whole.closed
    half.write(Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.alloc(300_000)]))
    await half.closed
    expect(errors.map(({ code }) => code)).toEqual(['MESSAGE_TOO_LARGE', 'MESSAGE_TOO_LARGE'])
    fits.write(frame('still here'))
    await fits.bytes(1004 + 14)
  })
})
