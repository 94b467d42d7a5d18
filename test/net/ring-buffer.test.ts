import { describe, expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { rawProtocol } from '../../lib/net/server/protocols/raw.js'
import { RingBuffer } from '../../lib/net/server/ring-buffer.js'
import { StoragePool } from '../../lib/net/server/storage-pool.js'
import type { Connection } from '../../lib/net/server/types.js'
import { randomInt, seededRandom } from '../../lib/util/index.js'

const text = (ring: RingBuffer): string => ring.bytes().toString('latin1')
const ascii = (ring: RingBuffer): string[] => ring.peekAll().map((part) => part.toString('latin1'))

describe('RingBuffer', () => {
  it('NT-3: ring of 4: write 1234, retrieve 2, write ab: raw gives 34ab, length 0', () => {
    const ring = new RingBuffer(4)
    ring.writeString('1234')
    expect([ring.isFull, ring.capacity, ring.length]).toEqual([true, 4, 4])
    ring.retrieve(2)
    expect(ring.isFull).toBe(false)
    ring.write(Buffer.from('ab'))
    expect([ring.isFull, ring.capacity, ...ascii(ring)]).toEqual([true, 4, '34', 'ab'])
    const message = rawProtocol().unpack({} as Connection, ring)
    expect(message?.data.toString()).toBe('34ab')
    expect([ring.length, ring.isEmpty, ring.capacity]).toEqual([0, true, 4])
  })

  it('NT-3: grows by doubling up to maxBytes, and refuses more naming the numbers, taking nothing', () => {
    const ring = new RingBuffer(4, 20)
    const capacities: number[] = []
    for (let byte = 0; byte < 20; byte++) {
      ring.writeByte(byte)
      if (capacities.at(-1) !== ring.capacity) capacities.push(ring.capacity)
    }
    expect(capacities).toEqual([4, 8, 16, 20])
    const full = /holds 20 bytes cannot take 1 more, maxBytes is 20/
    expect(() => ring.writeByte(20)).toThrow(full)
    expect(() => ring.write(new Uint8Array(1))).toThrow(full)
    expect(() => ring.writeString('x')).toThrow(full)
    expect([...ring.bytes()]).toEqual(Array.from({ length: 20 }, (_, byte) => byte))
    expect(new RingBuffer().capacity).toBe(0)
  })

  it('NT-3: a chunk is read in place; only what is left is copied, and an empty ring holds no storage', () => {
    const pool = new StoragePool()
    const ring = new RingBuffer(0, 1 << 20, pool)
    const chunk = Buffer.from('frame1frame2fra')
    ring.withData(chunk)
    const first = ring.take(6)
    expect(first.buffer).toBe(chunk.buffer)
    expect(first.byteOffset).toBe(chunk.byteOffset)
    expect(ring.takeString(6)).toBe('frame2')
    ring.keep()
    chunk.fill(0)
    expect([text(ring), ring.capacity]).toEqual(['fra', 256])
    const next = Buffer.from('me3frame4')
    ring.withData(next)
    expect([ring.length, ring.capacity, ...ascii(ring)]).toEqual([12, 256 + 9, 'fra', 'me3frame4'])
    expect(ring.take(6).toString()).toBe('frame3')
    const last = ring.takeAll()
    expect([last.toString(), last.buffer === next.buffer]).toEqual(['frame4', true])
    ring.keep()
    expect([ring.capacity, pool.keptBytes]).toEqual([0, 256])
    ring.withData(next)
    expect(ring.takeAll()).toBe(next)
    ring.keep()
    expect([ring.capacity, pool.keptBytes]).toEqual([0, 256])
  })

  it('NT-3: what was taken never changes, whatever becomes of the storage', () => {
    const pool = new StoragePool()
    const [one, other] = [new RingBuffer(0, 1 << 20, pool), new RingBuffer(0, 1 << 20, pool)]
    const taken: Buffer[] = []
    for (let round = 0; round < 50; round++) {
      const ring = round % 2 === 0 ? one : other
      const size = [5, 300, 40_000, 70_000][round % 4] as number
      ring.write(Buffer.alloc(size - 2, round))
      ring.withData(Buffer.alloc(2, round))
      taken.push(ring.take(size))
      ring.keep()
    }
    for (const [round, bytes] of taken.entries())
      expect(
        bytes.every((byte) => byte === round),
        `round ${round}`,
      ).toBe(true)
  })

  it('NT-3: a long message leaves with its storage, and what follows it stays', () => {
    const ring = new RingBuffer()
    const long = Buffer.alloc(50_000, 7)
    ring.write(long)
    ring.writeString('next')
    const message = ring.take(50_000)
    expect([message.equals(long), text(ring)]).toEqual([true, 'next'])
    expect(ring.capacity).toBeLessThan(1024)
    ring.reset()
    ring.write(long.subarray(0, 40_000))
    ring.withData(Buffer.concat([long.subarray(40_000), Buffer.from('rest')]))
    const second = ring.take(50_000)
    expect([second.equals(long), text(ring)]).toEqual([true, 'rest'])
    expect(second.buffer.byteLength).toBe(65_536)
  })

  it('NT-3: a long message is copied when its storage is wrapped, has no room behind it, or is far longer', () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 80_000 }, (_, index) => index % 251))
    const wrapped = new RingBuffer()
    wrapped.write(bytes.subarray(0, 60_000))
    wrapped.retrieve(20_000)
    wrapped.write(bytes.subarray(60_000, 67_536))
    expect([wrapped.capacity, wrapped.take(40_000).equals(bytes.subarray(20_000, 60_000))]).toEqual([65_536, true])
    wrapped.write(bytes.subarray(0, 100))
    expect(wrapped.bytes().equals(Buffer.concat([bytes.subarray(60_000, 67_536), bytes.subarray(0, 100)]))).toBe(true)
    const narrow = new RingBuffer()
    narrow.write(bytes.subarray(0, 60_000))
    narrow.withData(Buffer.from(bytes.subarray(60_000)))
    expect([narrow.take(70_000).equals(bytes.subarray(0, 70_000)), narrow.length]).toEqual([true, 10_000])
    const wide = new RingBuffer(200_000)
    wide.write(bytes.subarray(0, 50_000))
    const message = wide.take(50_000)
    expect([message.equals(bytes.subarray(0, 50_000)), message.buffer.byteLength]).toEqual([true, 50_000])
  })

  it('NT-3: what is left of a chunk does not stay in the large storage that came before it', () => {
    const ring = new RingBuffer()
    ring.write(Buffer.alloc(40_000))
    ring.withData(Buffer.from('ab'))
    ring.retrieve(40_001)
    ring.keep()
    expect([text(ring), ring.capacity]).toEqual(['b', 256])
  })

  it('NT-3: numbers are big-endian, also across the seam, and undefined while bytes are missing', () => {
    const bytes = Buffer.from('0102f3f4f5f6f7f8f9', 'hex')
    for (let cut = 0; cut <= bytes.length; cut++) {
      const ring = new RingBuffer()
      ring.write(bytes.subarray(0, cut))
      ring.withData(bytes.subarray(cut))
      expect([ring.peekUint8(), ring.peekUint16(), ring.peekUint32(), ring.peekUint64()]).toEqual([
        1,
        0x0102,
        0x0102f3f4,
        0x0102f3f4f5f6f7f8n,
      ])
      expect([ring.peekUint8(2), ring.peekUint16(2), ring.peekUint32(2), ring.peekUint64(1)]).toEqual([
        0xf3,
        0xf3f4,
        0xf3f4f5f6,
        0x02f3f4f5f6f7f8f9n,
      ])
      expect([ring.peekUint8(9), ring.peekUint16(8), ring.peekUint32(6), ring.peekUint64(2)]).toEqual(
        Array.from({ length: 4 }),
      )
    }
  })

  it('NT-3: virtual reads go ahead of the real ones until they are flushed or reverted', () => {
    const ring = new RingBuffer(4)
    ring.writeString('abcd')
    ring.retrieve(3)
    ring.writeString('efg')
    const two = Buffer.alloc(2)
    expect([ring.virtualRead(two), two.toString(), ring.virtualLength, ring.length]).toEqual([2, 'de', 2, 4])
    ring.virtualRevert()
    expect([ring.virtualRead(two), two.toString()]).toEqual([2, 'de'])
    ring.virtualFlush()
    expect([ring.length, ring.virtualLength, text(ring)]).toEqual([2, 2, 'fg'])
    expect([ring.virtualRead(Buffer.alloc(9)), ring.virtualLength]).toEqual([2, 0])
    ring.readByte()
    expect(ring.virtualLength).toBe(1)
  })

  it('NT-3: taking more than there is, and sizes that are none, are refused', () => {
    const ring = new RingBuffer()
    ring.writeString('abc')
    expect(() => ring.take(4)).toThrow(/4 bytes were to be taken from a ring that holds 3/)
    expect(() => ring.takeString(4)).toThrow(MQError)
    expect(ring.retrieve(9)).toBe(3)
    expect([ring.readByte(), ring.retrieve(1), ring.take(0).length]).toEqual([undefined, 0, 0])
    for (const [initialBytes, maxBytes] of [
      [-1, 10],
      [11, 10],
      [1.5, 10],
      [0, Number.NaN],
      [0, 0],
    ] as const)
      expect(() => new RingBuffer(initialBytes, maxBytes)).toThrow(
        new RegExp(`initialBytes ${initialBytes}, maxBytes ${maxBytes}`),
      )
  })

  it('NT-3: more than maxBytes left of a chunk is refused when it is kept, nothing is lost by it', () => {
    const ring = new RingBuffer(0, 10)
    ring.withData(Buffer.from('0123456789abc'))
    expect(() => ring.keep()).toThrow(/holds 13 bytes cannot take 0 more, maxBytes is 10/)
    expect(text(ring)).toBe('0123456789abc')
    ring.retrieve(3)
    ring.keep()
    expect([text(ring), ring.capacity]).toEqual(['3456789abc', 10])
  })

  it('NT-3: 10,000 idle rings hold no storage, what they used serves the next ones', () => {
    const pool = new StoragePool()
    const rings = Array.from({ length: 10_000 }, () => new RingBuffer(0, 1 << 20, pool))
    for (const ring of rings) {
      ring.withData(Buffer.from('half'))
      ring.keep()
      ring.withData(Buffer.from(' and half'))
      expect(ring.takeAll().length).toBe(13)
      ring.keep()
    }
    expect(rings.reduce((sum, ring) => sum + ring.capacity, 0)).toBe(0)
    expect(pool.keptBytes).toBe(256)
  })

  it('NT-3: the pool keeps a bounded number of each size, and takes nothing twice', () => {
    const pool = new StoragePool()
    const lent = Array.from({ length: 100 }, () => pool.lease(65_536))
    for (const storage of lent) pool.giveBack(storage)
    expect(pool.keptBytes).toBe(512 * 1024)
    expect(pool.lease(65_536)).toBe(lent[7])
    pool.giveBack(Buffer.alloc(1000))
    expect(pool.keptBytes).toBe(7 * 65_536)
    expect(() => pool.giveBack(lent[6] as Buffer)).toThrow(/given back once/)
  })
})

const STEPS = 20_000

describe('RingBuffer against an array', () => {
  it.each([3, 99, 4_711, 65_537])(`NT-3: ${STEPS} random calls give the same bytes (seed %d)`, (seed) => {
    const random = seededRandom(seed)
    const ring = new RingBuffer(randomInt(random, 3) * 7, 1 << 20)
    let model = Buffer.alloc(0)
    let virtual = 0
    let counter = 0
    const some = (): Buffer => {
      const limits = [3, 20, 300, 40_000]
      const length = randomInt(random, limits[randomInt(random, random.next() < 0.02 ? 4 : 3)] as number)
      return Buffer.from(Uint8Array.from({ length }, () => counter++ & 0xff))
    }
    const read = (bytes: number): void => {
      model = model.subarray(bytes)
      virtual = 0
    }
    const count = (): number => randomInt(random, Math.min(model.length, 400) + 1)
    const calls: Record<string, () => void> = {
      write() {
        const bytes = some()
        ring.write(bytes)
        model = Buffer.concat([model, bytes])
      },
      writeByte() {
        ring.writeByte(counter & 0xff)
        model = Buffer.concat([model, Buffer.from([counter++ & 0xff])])
      },
      writeString() {
        const string = `\u00e9${counter++}`
        expect(ring.writeString(string)).toBe(Buffer.byteLength(string))
        model = Buffer.concat([model, Buffer.from(string)])
      },
      withData() {
        const bytes = some()
        ring.withData(new Uint8Array(bytes))
        model = Buffer.concat([model, bytes])
      },
      keep: () => ring.keep(),
      take() {
        const bytes = random.next() < 0.1 ? model.length : count()
        expect(ring.take(bytes).equals(model.subarray(0, bytes))).toBe(true)
        if (bytes > 0) read(bytes)
      },
      takeString() {
        const bytes = count()
        expect(ring.takeString(bytes)).toBe(model.subarray(0, bytes).toString())
        if (bytes > 0) read(bytes)
      },
      read() {
        const target = Buffer.alloc(count() + 1)
        const bytes = ring.read(target)
        expect(bytes).toBe(Math.min(target.length, model.length))
        expect(target.subarray(0, bytes).equals(model.subarray(0, bytes))).toBe(true)
        read(bytes)
      },
      readByte() {
        expect(ring.readByte()).toBe(model[0])
        if (model.length > 0) read(1)
      },
      retrieve() {
        const bytes = count()
        expect(ring.retrieve(bytes)).toBe(bytes)
        read(bytes)
      },
      retrieveAll() {
        if (random.next() > 0.05) return
        ring.retrieveAll()
        read(model.length)
      },
      reset() {
        if (random.next() > 0.02) return
        ring.reset()
        read(model.length)
      },
      peek() {
        const bytes = count()
        expect(Buffer.concat(ring.peek(bytes)).equals(model.subarray(0, bytes))).toBe(true)
      },
      indexOf() {
        const [byte, from] = [randomInt(random, 256), count()]
        expect(ring.indexOf(byte, from)).toBe(from >= model.length ? -1 : model.indexOf(byte, from))
      },
      peekUint() {
        const at = count()
        expect(ring.peekUint8(at)).toBe(model[at])
        expect(ring.peekUint16(at)).toBe(at + 2 > model.length ? undefined : model.readUInt16BE(at))
        expect(ring.peekUint32(at)).toBe(at + 4 > model.length ? undefined : model.readUInt32BE(at))
        expect(ring.peekUint64(at)).toBe(at + 8 > model.length ? undefined : model.readBigUInt64BE(at))
      },
      virtualRead() {
        const target = Buffer.alloc(randomInt(random, 50))
        const bytes = ring.virtualRead(target)
        expect(bytes).toBe(Math.min(target.length, model.length - virtual))
        expect(target.subarray(0, bytes).equals(model.subarray(virtual, virtual + bytes))).toBe(true)
        virtual += bytes
      },
      virtualFlush() {
        ring.virtualFlush()
        read(virtual)
      },
      virtualRevert() {
        ring.virtualRevert()
        virtual = 0
      },
    }
    const names = Object.keys(calls)
    for (let step = 0; step < STEPS; step++) {
      const name = names[randomInt(random, names.length)] as string
      try {
        calls[name]?.()
        expect([ring.length, ring.isEmpty, ring.virtualLength]).toEqual([
          model.length,
          model.length === 0,
          model.length - virtual,
        ])
        if (step % 16 === 0) expect(ring.bytes().equals(model)).toBe(true)
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}, ${name}`, { cause: error })
      }
    }
  })
})
