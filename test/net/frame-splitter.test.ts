import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameSplitter } from '../../lib/net/index.js'
import { framed } from './support.js'

const MAX = 1024 * 1024

function cut(chunks: readonly Uint8Array[], maxFrameBytes = MAX): Buffer[] {
  const splitter = new FrameSplitter(maxFrameBytes)
  const frames: Buffer[] = []
  for (const chunk of chunks) splitter.push(chunk, (frame) => frames.push(Buffer.from(frame)))
  return frames
}

describe('FrameSplitter', () => {
  it('W-7: any cut of a stream gives the same frames', () => {
    const bytes = fc.uint8Array({ minLength: 4, maxLength: 40_000 })
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 20_000 })), (frames, cuts) => {
        const stream = Buffer.concat(frames.map(framed))
        const chunks: Uint8Array[] = []
        let at = 0
        for (const length of [...cuts, stream.length]) {
          if (at >= stream.length) break
          chunks.push(Uint8Array.from(stream.subarray(at, at + length)))
          at += length
        }
        expect(cut(chunks)).toEqual(frames.map((frame) => Buffer.from(frame)))
      }),
      { numRuns: 200 },
    )
  })

  it('a stream of single bytes gives its frames, and keeps no object per byte', () => {
    const body = Buffer.alloc(100_000, 'abcdefg')
    const stream = framed(body)
    expect(cut(Array.from(stream, (byte) => Uint8Array.of(byte)))).toEqual([body])
  })

  it('a frame inside one chunk is a view of that chunk, also of several', () => {
    const chunk = Buffer.concat([framed(Buffer.from('first')), framed(Buffer.from('second'))])
    const seen: Uint8Array[] = []
    new FrameSplitter(MAX).push(chunk, (frame) => seen.push(frame))
    expect(seen.map((frame) => frame.buffer === chunk.buffer)).toEqual([true, true])
  })

  it.each([
    ['negative', 0xff_ff_ff_ff],
    ['smaller than a correlation id', 3],
    ['one above the limit', MAX + 1],
    ['the largest there is', 0x7f_ff_ff_ff],
  ])('W-7: a size that is %s is refused before anything is allocated', (_what, size) => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(size >>> 0)
    expect(() => cut([head])).toThrow(
      expect.objectContaining({
        code: 'CONNECTION_FAILED',
        context: expect.objectContaining({ reason: 'MALFORMED_FRAME' }),
      }),
    )
  })

  it('W-7: sizes at both limits pass', () => {
    expect(cut([framed(Buffer.alloc(4)), framed(Buffer.alloc(MAX))]).map((frame) => frame.length)).toEqual([4, MAX])
  })

  it('W-15: a huge claimed size costs no memory', () => {
    const before = process.memoryUsage().arrayBuffers
    const splitters = Array.from({ length: 200 }, () => new FrameSplitter(0x7f_ff_ff_ff))
    for (const splitter of splitters) splitter.push(Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 1), () => {})
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
  })

  it('hands out nothing more after stop, not even from the chunk it is cutting', () => {
    const splitter = new FrameSplitter(MAX)
    const seen: string[] = []
    const chunk = Buffer.concat([framed(Buffer.from('first')), framed(Buffer.from('second'))])
    splitter.push(chunk, (frame) => {
      seen.push(Buffer.from(frame).toString())
      splitter.stop()
    })
    splitter.push(framed(Buffer.from('third')), () => seen.push('third'))
    expect(seen).toEqual(['first'])
  })
})
