/**
 * A `drain` listener that writes while records are handed to those who wait: the nested write served them too, and the record
 * that the outer one had in its hands reached nobody, although it counted as read.
 */
import { describe, expect, it } from 'vitest'
import { ItemChannel } from '../../../lib/channel/index.js'
import { FakeClock } from '../../../lib/util/index.js'

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

function make() {
  const options = { bufferMaxRecords: 10, maxRecords: 8, windowMs: Number.POSITIVE_INFINITY }
  return new ItemChannel<number>({ clock: new FakeClock(), ...options })
}

describe('listeners hear of room when readers have been served', () => {
  it('CH-15 CH-17: a drain listener that writes and seals: nothing is lost, who waits is served in order', async () => {
    const channel = make()
    const got: string[] = []
    for (const name of ['a', 'b', 'c', 'd', 'e']) void channel.read().then((n) => got.push(`${name}${n}`))
    let drains = 0
    channel.on('drain', () => {
      if (drains++ > 0) return
      channel.write(99)
      channel.seal()
    })
    for (let n = 0; n < 8; n++) channel.write(n)
    await settle()
    expect(drains).toBe(1)
    expect(got).toEqual(['a0', 'b1', 'c2', 'd3', 'e4'])
    const rest: (number | undefined)[] = []
    for (let n = channel.tryRead(); n !== undefined; n = channel.tryRead()) rest.push(n)
    expect(rest).toEqual([5, 6, 7, 99])
  })

  it('CH-15 CH-17: a drain listener that ends the wait of the reader that is being served: the record is not lost', async () => {
    const channel = make()
    const leaving = new AbortController()
    const got: unknown[] = []
    for (let reader = 0; reader < 2; reader++) {
      const options = reader === 1 ? { signal: leaving.signal } : {}
      channel.read(options).then(
        (n) => got.push(n),
        (reason: Error) => got.push(reason.message),
      )
    }
    channel.on('drain', () => leaving.abort(new Error('left')))
    for (let n = 0; n < 8; n++) channel.write(n)
    await settle()
    const rest: number[] = []
    for (let n = channel.tryRead(); n !== undefined; n = channel.tryRead()) rest.push(n)
    const all = [...got.filter((n) => typeof n === 'number'), ...rest]
    expect(all).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(channel.counters().readRecords).toBe(8)
  })
})
