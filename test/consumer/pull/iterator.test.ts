/** Loops over a consumer: what break, throw and close mean for the record in the body. */
import { describe, expect, it } from 'vitest'
import { MQError } from '../../../lib/errors/index.js'
import { PullStage, place, stateOf } from './stage.js'

describe('RecordIterator', () => {
  it('CO-4, CO-9: the body asks, and what it had counts', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const seen: string[] = []
    const loop = (async () => {
      for await (const record of stage.puller.iterate()) seen.push(`${place(record)} at ${cursor.position}`)
    })()
    expect(await stateOf(loop)).toBe('open')
    expect([seen, cursor.position]).toEqual([['0:0 at 0', '0:1 at 1', '0:2 at 2'], 3])
    stage.sink.stop()
    await loop
  })
  it.each(['break', 'throw'])('CO-9: %s does not count the record, and the next one who asks gets it', async (how) => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const loop = async () => {
      for await (const record of stage.puller.iterate()) {
        if (record.offset < 1) continue
        if (how === 'break') break
        throw new Error('the body failed')
      }
    }
    if (how === 'break') await loop()
    else await expect(loop()).rejects.toThrow('the body failed')
    expect([cursor.position, cursor.isBusy, stage.sink.running]).toEqual([1, false, 0])
    expect(place(await stage.puller.read())).toBe('0:1')
    expect(place(await stage.puller.read())).toBe('0:2')
    expect(cursor.position).toBe(2)
  })
  it('CO-9: what a break gave back is served to one who waits', async () => {
    const stage = new PullStage()
    stage.cursor(0, 1)
    const iterator = stage.puller.iterate()
    expect(place((await iterator.next()).value ?? null)).toBe('0:0')
    const waiting = stage.puller.read()
    expect(await stateOf(waiting)).toBe('open')
    await iterator.return?.()
    stage.clock.runDeferred()
    expect(place(await waiting)).toBe('0:0')
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })
  it('CO-8: a seek after a break wins over the record that was given back', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 5)
    for await (const record of stage.puller.iterate()) if (record.offset === 1) break
    cursor.moveTo(4)
    stage.feed(cursor, 4, 1)
    expect(place(await stage.puller.read())).toBe('0:4')
    expect(cursor.position).toBe(4)
  })
  it('CO-8: a seek in the body, then a break: the position is that of the seek', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 5)
    for await (const record of stage.puller.iterate()) {
      if (record.offset < 2) continue
      cursor.moveTo(4)
      break
    }
    stage.feed(cursor, 4, 1)
    expect(place(await stage.puller.read())).toBe('0:4')
  })
  it('CO-4: loops side by side share the partitions, never one partition', async () => {
    const stage = new PullStage(10)
    const cursors = [stage.cursor(0, 3), stage.cursor(1, 3)] as const
    const [a, b, c] = [stage.puller.iterate(), stage.puller.iterate(), stage.puller.iterate()] as const
    const got = async (result: Promise<IteratorResult<unknown, undefined>>) => place((await result).value as never)
    expect([await got(a.next()), await got(b.next())]).toEqual(['0:0', '1:0'])
    const third = c.next()
    expect(await stateOf(third)).toBe('open')
    expect(await got(a.next())).toBe('0:1')
    expect([cursors[0].position, cursors[1].position, await stateOf(third)]).toEqual([1, 0, 'open'])
    await a.return?.()
    stage.clock.runDeferred()
    expect(await got(third)).toBe('0:1')
  })
  it('C-14: a loop whose turn is over lets those go first who wait', async () => {
    const stage = new PullStage(2)
    stage.cursor(0, 5)
    const [a, b] = [stage.puller.iterate(), stage.puller.iterate()] as const
    await a.next()
    const waiting = b.next()
    await a.next()
    const behind = a.next()
    expect(place((await waiting).value as never)).toBe('0:2')
    expect(await stateOf(behind)).toBe('open')
    await b.next()
    b.next()
    expect(place((await behind).value as never)).toBe('0:4')
  })
  it('CO-9: next() called twice holds both; a break gives both back', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0)
    const iterator = stage.puller.iterate()
    const both = Promise.all([iterator.next(), iterator.next()])
    stage.feed(cursor, 0, 3)
    expect((await both).map(({ value }) => place(value as never))).toEqual(['0:0', '0:1'])
    expect(cursor.position).toBe(0)
    await iterator.return?.()
    expect([stage.rewound.length, cursor.position, cursor.fetchOffset]).toEqual([1, 0, 0])
    stage.feed(cursor, 0, 3)
    expect(place(await stage.puller.read())).toBe('0:0')
  })
  it('CO-17: stop waits for the record in the body, which counts when the body asks again', async () => {
    const stage = new PullStage()
    const cursor = stage.cursor(0, 3)
    const iterator = stage.puller.iterate()
    await iterator.next()
    const told: string[] = []
    stage.sink.stop()
    stage.sink.whenIdle(() => told.push('idle'))
    cursor.whenIdle(() => told.push('rests'))
    expect(told).toEqual([])
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
    expect([told, cursor.position]).toEqual([['rests', 'idle'], 1])
  })
  it('CO-17: stop ends loops that wait, and a failure that ended delivery is thrown', async () => {
    const stage = new PullStage()
    const waiting = stage.puller.iterate().next()
    stage.sink.stop()
    expect(await waiting).toEqual({ done: true, value: undefined })

    const failed = new PullStage()
    const iterator = failed.puller.iterate()
    const next = iterator.next()
    failed.failure = new MQError('CONSUME_FAILED', 'the group is lost', {})
    failed.sink.stop()
    await expect(next).rejects.toBe(failed.failure)
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
    expect(failed.sink.waiting).toBe(0)
  })
})
