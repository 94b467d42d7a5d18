import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader } from '../../lib/net/frame-reader.js'
import { deferred } from '../../lib/util/index.js'
import { framed, nextFrame, open, rawServer } from './support.js'

const MAX = 1024 * 1024
const ignore = () => {}

/** Writes the stream as a socket would: at most `lengths[i]` bytes at a time, never beyond the target. */
function feed(reader: FrameReader, stream: Uint8Array, lengths: readonly number[], onFrame: (f: Uint8Array) => void) {
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const { target } = reader
    const bytes = Math.min(target.length, stream.length - at, lengths[turn % lengths.length] ?? stream.length)
    if (bytes === 0) throw new Error('the target is empty: a socket would read nothing for ever')
    target.set(stream.subarray(at, at + bytes))
    at += bytes
    reader.advance(bytes)
    reader.cut(onFrame)
  }
}

function frames(stream: Uint8Array, lengths: readonly number[], maxFrameBytes = MAX): Uint8Array[] {
  const seen: Uint8Array[] = []
  feed(new FrameReader(maxFrameBytes), stream, lengths, (frame) => seen.push(frame))
  return seen
}

describe('FrameReader', () => {
  it('W-7: any cut of a stream gives the same frames, and what follows never changes them', () => {
    const small = fc.uint8Array({ minLength: 4, maxLength: 400 })
    const large = fc.integer({ min: 10_000, max: 600_000 }).map((bytes) => Buffer.alloc(bytes, `${bytes},`))
    const cuts = fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(fc.array(fc.oneof(small, large), { maxLength: 8 }), cuts, (bodies, lengths) => {
        const seen = frames(Buffer.concat(bodies.map(framed)), lengths)
        expect(seen.length).toBe(bodies.length)
        for (const [index, frame] of seen.entries()) expect(Buffer.compare(frame, bodies[index] as Buffer)).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  it.each([1, 2, 3, 4, 5, 16_380, 16_384, 16_385])(
    'frames around the size of the stage, %i bytes at a time',
    (length) => {
      const bodies = [16_379, 16_380, 16_381, 4, 16_384, 40_000].map((bytes) => Buffer.alloc(bytes, 'frame '))
      expect(frames(Buffer.concat(bodies.map(framed)), [length]).map((frame) => frame.length)).toEqual(
        bodies.map((body) => body.length),
      )
    },
  )

  it('a large frame is read in place: hardly any of it is copied, and it has memory of its own', () => {
    const reader = new FrameReader(64 * MAX)
    const targets = new Set<ArrayBufferLike>()
    const body = Buffer.alloc(6 * MAX, 'records ')
    let frame: Uint8Array | null = null
    const stream = framed(body)
    for (let at = 0; at < stream.length; ) {
      const { target } = reader
      targets.add(target.buffer)
      const bytes = Math.min(target.length, stream.length - at)
      stream.copy(target, 0, at, at + bytes)
      at += bytes
      reader.advance(bytes)
      reader.cut((one) => {
        frame = one
      })
    }
    expect(targets.size).toBeLessThanOrEqual(4) // stage, two steps, the frame
    expect((frame as Uint8Array | null)?.buffer.byteLength).toBe(body.length)
    expect(Buffer.compare(frame as unknown as Buffer, body)).toBe(0)
  })

  it.each([
    ['negative', 0xff_ff_ff_ff],
    ['smaller than a correlation id', 3],
    ['one above the limit', MAX + 1],
    ['the largest there is', 0x7f_ff_ff_ff],
  ])('W-7: a size that is %s is refused before anything is allocated', (_what, size) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(size >>> 0)
    expect(() => frames(head, [4])).toThrow(
      expect.objectContaining({
        code: 'CONNECTION_FAILED',
        context: expect.objectContaining({ reason: 'MALFORMED_FRAME' }),
      }),
    )
  })

  it('W-15: a huge claimed size costs no more than eight times what came', () => {
    for (const came of [1, 5_000, 16_000, 100_000, 1_000_000]) {
      const reader = new FrameReader(0x7f_ff_ff_ff)
      feed(reader, Buffer.concat([Buffer.from([0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(came)]), [came], ignore)
      expect(reader.target.buffer.byteLength).toBeLessThanOrEqual(Math.max(16 * 1024, 8 * came))
    }
  })

  it('hands out nothing more after stop, not even from what it is cutting', () => {
    const reader = new FrameReader(MAX)
    const seen: string[] = []
    feed(reader, Buffer.concat([framed(Buffer.from('first')), framed(Buffer.from('second'))]), [100], (frame) => {
      seen.push(Buffer.from(frame).toString())
      reader.stop()
    })
    expect(seen).toEqual(['first'])
  })

  it('what a peer sends before anybody listens waits, and no more is read than can wait', () => {
    const reader = new FrameReader(MAX)
    const { buffer, callback } = reader.onread
    const stream = framed(Buffer.alloc(20_000, 'early '))
    const fits = stream.copy(buffer())
    expect([callback(100), callback(fits - 100)]).toEqual([true, false])
    const seen: Uint8Array[] = []
    reader.onBytes = () => reader.cut((frame) => seen.push(frame))
    reader.onBytes()
    expect(stream.copy(buffer(), 0, fits)).toBe(stream.length - fits)
    expect(callback(stream.length - fits)).toBe(true)
    expect(Buffer.compare(seen[0] as Uint8Array, stream.subarray(4))).toBe(0)
  })

  it('a peer that speaks first is heard', async () => {
    const { port } = await rawServer((socket) => socket.write(framed(Buffer.from('hello'))))
    expect(Buffer.from(await nextFrame(await open(port))).toString()).toBe('hello')
  })

  it('a paused socket reads nothing, and goes on where it stopped', async () => {
    const body = Buffer.alloc(3 * MAX, 'slow reader ')
    const answered = deferred<void>()
    const { port } = await rawServer((socket) =>
      socket.on('data', () => {
        socket.write(framed(body))
        answered.resolve()
      }),
    )
    const client = await open(port)
    const frame = nextFrame(client)
    client.pause()
    client.write([framed(Buffer.from('send'))])
    await answered.promise
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(client.bytesRead).toBe(0)
    client.resume()
    expect(Buffer.compare(await frame, body)).toBe(0)
  })
})
