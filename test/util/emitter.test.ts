import { describe, expect, it } from 'vitest'
import { Emitter } from '../../lib/util/index.js'

interface Events {
  count: number
  error: Error
}

describe('Emitter', () => {
  it('tells every listener in order of subscription; the returned function ends it, twice is harmless', () => {
    const emitter = new Emitter<Events>()
    const seen: string[] = []
    const off = emitter.on('count', (n) => seen.push(`a${n}`))
    emitter.on('count', (n) => seen.push(`b${n}`))
    emitter.emit('count', 1)
    off()
    off()
    emitter.emit('count', 2)
    expect(seen).toEqual(['a1', 'b1', 'b2'])
  })

  it('a listener that throws is reported and hurts no other; without a reporter neither', () => {
    const reported: unknown[] = []
    const emitter = new Emitter<Events>((error) => reported.push(error))
    const boom = new Error('boom')
    const seen: number[] = []
    emitter.on('count', () => {
      throw boom
    })
    emitter.on('count', (n) => seen.push(n))
    emitter.emit('count', 1)
    expect([reported, seen]).toEqual([[boom], [1]])
    const silent = new Emitter<Events>()
    silent.on('count', () => {
      throw boom
    })
    expect(() => silent.emit('count', 1)).not.toThrow()
  })

  it('an error event without listener ends nothing', () => {
    expect(() => new Emitter<Events>().emit('error', new Error('x'))).not.toThrow()
  })

  it('once tells once', () => {
    const emitter = new Emitter<Events>()
    const seen: number[] = []
    emitter.once('count', (n) => seen.push(n))
    emitter.emit('count', 1)
    emitter.emit('count', 2)
    expect(seen).toEqual([1])
  })

  it('whoever subscribes or leaves during an event does not change who is told of it', () => {
    const emitter = new Emitter<Events>()
    const seen: string[] = []
    const offs: (() => void)[] = []
    emitter.on('count', () => {
      seen.push('a')
      offs[0]?.()
      emitter.on('count', () => seen.push('late'))
    })
    offs.push(emitter.on('count', () => seen.push('b')))
    emitter.emit('count', 1)
    expect(seen).toEqual(['a', 'b'])
  })

  it('has says whether anybody listens', () => {
    const emitter = new Emitter<Events>()
    expect(emitter.has('count')).toBe(false)
    const off = emitter.on('count', () => {})
    expect([emitter.has('count'), emitter.has('error')]).toEqual([true, false])
    off()
    expect(emitter.has('count')).toBe(false)
  })
})
