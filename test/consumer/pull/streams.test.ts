/** Streams over a consumer: nothing is asked for before somebody wants it, so nothing counts before somebody had it. */
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { PullStage, place, turns } from './stage.js'

type Placed = { readonly partition: number; readonly offset: number }

/** Lets streams do what they do between turns: they use process.nextTick. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('stream (web)', () => {
  it('CO-4, CO-9: asks when somebody reads, and the record before counts then', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const reader = stage.puller.stream().getReader()
    await turns()
    expect(stage.sink.running, 'nothing is read ahead').toBe(0)
    expect(place((await reader.read()).value ?? null)).toBe('0:0')
    await turns()
    expect(cursor.position).toBe(0)
    expect(place((await reader.read()).value ?? null)).toBe('0:1')
    expect(cursor.position).toBe(1)
  })
  it('CO-9: cancel gives the record back', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 2)
    const reader = stage.puller.stream().getReader()
    await reader.read()
    await reader.cancel()
    expect([cursor.position, stage.sink.running]).toEqual([0, 0])
    expect(place(await stage.puller.read())).toBe('0:0')
  })
  it('CO-9: a cancel during a wait leaves nobody waiting', async () => {
    const stage = new PullStage()
    stage.cursor(0)
    const reader = stage.puller.stream().getReader()
    const waiting = reader.read()
    await turns()
    expect(stage.sink.waiting).toBe(1)
    await reader.cancel()
    expect([(await waiting).done, stage.sink.waiting]).toEqual([true, 0])
  })
  it('CO-17: the end of the consumer ends the stream, its failure errors it', async () => {
    const stage = new PullStage()
    stage.cursor(0, 1)
    const reader = stage.puller.stream().getReader()
    await reader.read()
    const next = reader.read()
    await turns()
    stage.sink.stop()
    expect((await next).done).toBe(true)

    const failed = new PullStage()
    const failing = failed.puller.stream().getReader().read()
    await turns()
    failed.failure = new MQError('CONSUME_FAILED', 'the group is lost', {})
    failed.sink.stop()
    await expect(failing).rejects.toBe(failed.failure)
  })
  it('CO-4: pipeTo: one record at the writer, none behind it', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const written: string[] = []
    let release = () => {}
    const target = new WritableStream<Placed>({
      write(record) {
        written.push(place(record) as string)
        return new Promise((resolve) => {
          release = resolve
        })
      },
    })
    const piped = stage.puller.stream().pipeTo(target as never)
    await settle()
    expect([written, cursor.position]).toEqual([['0:0'], 0])
    release()
    await settle()
    expect([written, cursor.position]).toEqual([['0:0', '0:1'], 1])
    release()
    await settle()
    release()
    await settle()
    expect(cursor.position).toBe(3)
    stage.sink.stop()
    await piped
  })
})

describe('nodeStream', () => {
  it('CO-4, CO-9: a loop over it counts like a loop over the consumer', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 4)
    const seen: string[] = []
    for await (const record of stage.puller.nodeStream()) {
      await settle()
      seen.push(`${place(record)} at ${cursor.position}`)
      if (record.offset === 2) break
    }
    expect(seen).toEqual(['0:0 at 0', '0:1 at 1', '0:2 at 2'])
    await settle()
    expect([cursor.position, stage.sink.running]).toEqual([2, 0])
    expect(place(await stage.puller.read())).toBe('0:2')
  })
  it('CO-4, CO-9: data events with pause: what is in work does not count', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const stream = stage.puller.nodeStream()
    const seen: string[] = []
    stream.on('data', (record: Placed) => {
      seen.push(place(record) as string)
      stream.pause()
    })
    for (let count = 1; count <= 3; count++) {
      for (let turn = 0; turn < 5; turn++) await settle()
      expect([seen.length, cursor.position]).toEqual([count, count - 1])
      stream.resume()
    }
    for (let turn = 0; turn < 5; turn++) await settle()
    expect(cursor.position).toBe(3)
    stream.destroy()
  })
  it('CO-4, CO-9: read() by hand', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const stream = stage.puller.nodeStream()
    const seen: string[] = []
    const ended = new Promise<void>((resolve) => {
      stream.on('readable', async () => {
        for (let record = stream.read(); record !== null; record = stream.read()) {
          seen.push(`${place(record)} at ${cursor.position}`)
        }
        if (seen.length === 3) resolve()
      })
    })
    await ended
    await settle()
    expect(seen).toEqual(['0:0 at 0', '0:1 at 1', '0:2 at 2'])
    stream.destroy()
    await settle()
    expect(stage.sink.waiting).toBe(0)
  })
  it('CO-4: pipeline honours a slow writer', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 4)
    const written: string[] = []
    let most = 0
    const slow = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write(record: Placed, _encoding, callback) {
        most = Math.max(most, record.offset - cursor.position)
        setImmediate(() => {
          written.push(place(record) as string)
          if (written.length === 4) stage.sink.stop()
          callback()
        })
      },
    })
    await pipeline(stage.puller.nodeStream(), slow)
    expect(written).toEqual(['0:0', '0:1', '0:2', '0:3'])
    expect(most, 'the one that is written is the one that is open').toBe(0)
  })
  it('CO-17: a failure that ended delivery destroys it with that error', async () => {
    const stage = new PullStage()
    const loop = (async () => {
      for await (const _record of stage.puller.nodeStream()) throw new Error('no record expected')
    })()
    await settle()
    stage.failure = new MQError('CONSUME_FAILED', 'the group is lost', {})
    stage.sink.stop()
    await expect(loop).rejects.toBe(stage.failure)
  })
  it('CO-9: destroy gives the record back, also one that came in the same step', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0)
    const stream = stage.puller.nodeStream()
    stream.on('data', () => {})
    await settle()
    expect(stage.sink.waiting).toBe(1)
    stage.feed(cursor, 0, 1)
    stream.destroy()
    await settle()
    stage.clock.runDeferred()
    expect([cursor.position, stage.sink.running]).toEqual([0, 0])
    expect(place(await stage.puller.read())).toBe('0:0')
  })
})
