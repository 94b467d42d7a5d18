/** A channel among the real streams of Node and the web: they just work, checked by hash. CH-12, CH-16, CH-17. */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CompressionStream, DecompressionStream, TextDecoderStream, TransformStream } from 'node:stream/web'
import { createGunzip, createGzip } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { ByteChannel } from '../../../lib/channel/index.js'
import { FakeSpillLog } from '../spill/fake-log.js'
import { all, bytes, errorsOf, items, numbers, range, sample, sha256 } from './support.js'

const MIB = 1024 * 1024
const SEED = 20_261_122
const BYTES = 5 * MIB
const DATA = sample(BYTES, SEED)
const HASH = sha256(DATA)

/** Small enough that every way through it meets back-pressure. */
function narrow(): ByteChannel {
  return bytes({ bufferMemoryBytes: 256 * 1024, maxRecords: 50 })
}

function pieces(): Buffer[] {
  const cut: Buffer[] = []
  for (let at = 0, n = 0; at < DATA.length; n++) {
    const length = 1 + ((n * 7919) % 50_000)
    cut.push(DATA.subarray(at, at + length))
    at += length
  }
  return cut
}

async function drained(channel: ByteChannel): Promise<void> {
  expect([channel.usedBytes, channel.pendingRecords, channel.stats().waiters]).toEqual([0, 0, 0])
  expect(channel.counters()).toMatchObject({ refusedWrites: 0, droppedRecords: 0, discardedRecords: 0 })
}

describe('CH-17: 5 MB through a channel of 256 KiB', () => {
  it('node: gzip into a channel, out of it, gunzip', async () => {
    const channel = narrow()
    const errors = errorsOf(channel)
    const out: Buffer[] = []
    await Promise.all([
      pipeline(Readable.from(pieces()), createGzip(), channel.toWritable({ closesChannel: true })),
      pipeline(channel.toReadable(), createGunzip(), async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) out.push(chunk)
      }),
    ])
    expect(sha256(Buffer.concat(out))).toBe(HASH)
    expect(errors).toEqual([])
    await drained(channel)
  })

  it('web: CompressionStream into a channel, out of it, DecompressionStream', async () => {
    const channel = narrow()
    const source = new Blob(pieces()).stream()
    const [, out] = await Promise.all([
      source
        .pipeThrough(new CompressionStream('gzip') as never)
        .pipeTo(channel.toWritableStream({ closesChannel: true }) as never),
      all(channel.toReadableStream().pipeThrough(new DecompressionStream('gzip')) as AsyncIterable<Uint8Array>),
    ])
    expect(sha256(Buffer.concat(out))).toBe(HASH)
    await drained(channel)
  })

  it('raw, without a codec, in every pairing of the two kinds', async () => {
    for (const isNodeIn of [true, false]) {
      for (const isNodeOut of [true, false]) {
        const channel = narrow()
        const out: Uint8Array[] = []
        const written = isNodeIn
          ? pipeline(Readable.from(pieces()), channel.toWritable({ closesChannel: true }))
          : (Readable.toWeb(Readable.from(pieces())) as ReadableStream<Uint8Array>).pipeTo(
              channel.toWritableStream({ closesChannel: true }),
            )
        const source: AsyncIterable<Uint8Array> = isNodeOut ? channel.toReadable() : channel.toReadableStream()
        for await (const chunk of source) out.push(chunk)
        await written
        expect(sha256(Buffer.concat(out))).toBe(HASH)
        await drained(channel)
      }
    }
  })

  it("onFull 'spill': the writer goes on at the soft limit, ends before anybody reads, and readers get all of it", async () => {
    for (const isWeb of [false, true]) {
      const log = new FakeSpillLog()
      const channel = bytes({ bufferMemoryBytes: 256 * 1024, maxRecords: 50, onFull: 'spill', spillLog: log })
      if (isWeb) await new Blob(pieces()).stream().pipeTo(channel.toWritableStream() as never)
      else await pipeline(Readable.from(pieces()), channel.toWritable())
      expect(log.records).toBeGreaterThan(0)
      expect(channel.pendingRecords).toBe(channel.counters().writtenRecords)
      const closed = channel.close()
      const source: AsyncIterable<Uint8Array> = isWeb ? channel.toReadableStream() : channel.toReadable()
      expect(sha256(Buffer.concat(await all(source)))).toBe(HASH)
      expect(await closed).toMatchObject({ undelivered: 0 })
      await drained(channel)
    }
  })

  it('files: a read stream in, a write stream out', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tandem-streams-'))
    try {
      await writeFile(join(folder, 'in'), DATA)
      const channel = narrow()
      await Promise.all([
        pipeline(createReadStream(join(folder, 'in')), channel.toWritable({ closesChannel: true })),
        pipeline(channel.toReadable(), createWriteStream(join(folder, 'out'))),
      ])
      expect(sha256(await readFile(join(folder, 'out')))).toBe(HASH)
      await drained(channel)
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('the body of a Response, read as a whole, as text, through a TransformStream', async () => {
    const channel = narrow()
    const written = pipeline(Readable.from(pieces()), channel.toWritable({ closesChannel: true }))
    const body = await new Response(channel.toReadableStream()).arrayBuffer()
    await written
    expect(sha256(new Uint8Array(body))).toBe(HASH)
    await drained(channel)

    const words = bytes()
    for (const word of ['Grüße', '', ' und ', 'mehr']) words.write(Buffer.from(word))
    void words.close()
    const shout = new TransformStream<string, string>({
      transform: (text, controller) => controller.enqueue(text.toUpperCase()),
    })
    const texts = words
      .toReadableStream()
      .pipeThrough(new TextDecoderStream() as never)
      .pipeThrough(shout)
    expect((await all(texts as AsyncIterable<string>)).join('')).toBe('GRÜSSE UND MEHR')

    const blob = bytes()
    blob.write(Buffer.from('as a '))
    blob.write(Buffer.from('blob'))
    void blob.close()
    expect(await (await new Response(blob.toReadableStream()).blob()).text()).toBe('as a blob')
  })
})

describe('CH-12: items among streams', () => {
  it('Readable.from, pipe, compose, the operators of Readable, and both conversions', async () => {
    const mapped = numbers(100)
    void mapped.close()
    const even = mapped
      .toReadable()
      .filter((n: number) => n % 2 === 0)
      .map((n: number) => n * 10)
    expect(await even.toArray()).toEqual(range(0, 50).map((n) => n * 20))

    const composed = numbers(100)
    void composed.close()
    const plusOne = new Transform({ objectMode: true, transform: (n, _encoding, done) => done(null, n + 1) })
    expect(await composed.toReadable().compose(plusOne).toArray()).toEqual(range(1, 101))

    const piped = numbers(100)
    void piped.close()
    expect(
      await piped
        .toReadable()
        .pipe(new PassThrough({ objectMode: true }))
        .toArray(),
    ).toEqual(range(0, 100))

    const converted = numbers(100)
    void converted.close()
    expect(await all(Readable.toWeb(converted.toReadable()) as AsyncIterable<number>)).toEqual(range(0, 100))

    const back = numbers(100)
    void back.close()
    expect(await Readable.fromWeb(back.toReadableStream(), { objectMode: true }).toArray()).toEqual(range(0, 100))

    const target = items<number>()
    await pipeline(Readable.from(range(0, 100)), Writable.fromWeb(target.toWritableStream(), { objectMode: true }))
    expect(await target.readBatch(100)).toEqual(range(0, 100))
  })

  it('a pipeline of channels: each stage has its own, the end of the first ends the last', async () => {
    const first = items<number>({ bufferMaxRecords: 20 })
    const second = items<number>({ bufferMaxRecords: 20 })
    const third = items<number>({ bufferMaxRecords: 20 })
    const double = async function* (source: AsyncIterable<number>) {
      for await (const n of source) yield n * 2
    }
    const seen = all(third)
    await Promise.all([
      pipeline(Readable.from(range(0, 500)), first.toWritable({ closesChannel: true })),
      pipeline(first.toReadable(), double, second.toWritable({ closesChannel: true })),
      second.toReadableStream().pipeTo(third.toWritableStream({ closesChannel: true })),
    ])
    expect(await seen).toEqual(range(0, 500).map((n) => n * 2))
  })
})
