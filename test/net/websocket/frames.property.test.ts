/** Any stream, cut anywhere, is read the same way; and no bytes whatever do harm. Seeds are printed by a failure. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { randomInt, seededRandom } from '../../../lib/util/index.js'
import { binary, close, DecoderProbe, decoded, frame, more, ping, pong, text } from './support.js'

const SEED = Number(process.env.SEED ?? 61_455)

const payload = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).map((value) => Buffer.from(value)),
  fc.integer({ min: 120, max: 300 }).map((length) => Buffer.alloc(length, 'e\u0301')),
)
const control = fc
  .tuple(fc.constantFrom(ping, pong), fc.uint8Array({ maxLength: 125 }))
  .map(([make, bytes]) => make(bytes))
const whole = fc.tuple(fc.constantFrom(text, binary), payload).map(([make, bytes]) => [make(validText(bytes))])
const fragments = fc
  .tuple(fc.constantFrom(text, binary), payload, fc.array(fc.tuple(fc.nat(20), control), { maxLength: 5 }))
  .map(([make, bytes, cuts]) => fragmented(make, validText(bytes), cuts))
const stream = fc
  .array(
    fc.oneof(
      whole,
      fragments,
      control.map((bytes) => [bytes]),
    ),
    { maxLength: 8 },
  )
  .map((all) => all.flat())

/** Cutting text anywhere is legal, cutting it into halves of a character for good is not. */
function validText(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString())
}

function fragmented(make: typeof text, bytes: Buffer, cuts: readonly (readonly [number, Buffer])[]): Buffer[] {
  const frames: Buffer[] = []
  let at = 0
  for (const [length, between] of cuts) {
    const piece = bytes.subarray(at, at + length)
    frames.push(at === 0 && frames.length === 0 ? make(piece, false) : more(piece), between)
    at += piece.length
  }
  const rest = bytes.subarray(at)
  frames.push(frames.length === 0 ? make(rest, true) : more(rest, true))
  return frames
}

describe('frames', () => {
  it('GW-2: a stream cut at every single position is read as the whole', () => {
    const frames = [
      text('h\u20ac', false),
      ping('p'),
      more('llo', true),
      binary(Buffer.alloc(126, 7)),
      binary(Buffer.alloc(70_000)),
      close(1000, 'b\u20ac'),
    ]
    const bytes = Buffer.concat(frames)
    const expected = decoded(frames)
    expect(expected).toHaveLength(5)
    const interesting = bytes.length - 70_000
    for (let cut = 0; cut <= bytes.length; cut += cut < 200 || cut > interesting + 69_900 ? 1 : 997) {
      const probe = new DecoderProbe().push(bytes.subarray(0, cut)).push(bytes.subarray(cut))
      expect(probe.told, `cut at ${cut}`).toEqual(expected)
    }
  })

  it('GW-2: any stream in any pieces is read as the whole', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 60 }), (frames, cuts) => {
        const bytes = Buffer.concat(frames)
        const probe = new DecoderProbe()
        let at = 0
        for (const length of [...cuts, bytes.length]) {
          probe.push(bytes.subarray(at, at + length))
          at += length
        }
        expect(probe.error).toBeNull()
        expect(probe.told).toEqual(decoded(frames))
        expect(probe.ring.length).toBe(0)
      }),
      { numRuns: 500, seed: SEED },
    )
  })

  it('GW-2: changed bytes give messages or one error with a close code, and never more memory than a message', () => {
    const random = seededRandom(SEED)
    for (let run = 0; run < 4000; run++) {
      const frames = [
        text('hello', false),
        ping('ping'),
        more(' world', true),
        binary(Buffer.alloc(200, 1)),
        close(1001, 'away'),
      ]
      const bytes = Buffer.concat(frames)
      for (let changes = 1 + randomInt(random, 4); changes > 0; changes--) {
        bytes[randomInt(random, bytes.length)] = randomInt(random, 256)
      }
      expectHarmless(bytes, `seed ${SEED}, run ${run}`)
    }
  })

  it('GW-2: random bytes and random headers are refused with a close code, or wait for more', () => {
    const random = seededRandom(SEED)
    for (let run = 0; run < 4000; run++) {
      const bytes = Buffer.from(Array.from({ length: 1 + randomInt(random, 120) }, () => randomInt(random, 256)))
      if (run % 2 === 0)
        bytes.set(
          frame({ opcode: [0, 1, 2, 8, 9, 10][randomInt(random, 6)] as number, fin: run % 4 === 0 }).subarray(0, 1),
        )
      expectHarmless(bytes, `seed ${SEED}, run ${run}`)
    }
  })
})

const LIMIT = 4096
const CODES = ['error:1002', 'error:1007', 'error:1009']

function expectHarmless(bytes: Buffer, story: string): void {
  const probe = new DecoderProbe(LIMIT)
  for (const byte of bytes) {
    probe.push(Uint8Array.of(byte)) // throws what is no MQError
    if (probe.decoder.heldBytes > LIMIT + 125) throw new Error(`${story}: ${probe.decoder.heldBytes} bytes are held`)
    if (probe.ring.length > 14) throw new Error(`${story}: ${probe.ring.length} bytes wait in the ring`)
  }
  const errors = probe.told.filter((told) => told.startsWith('error'))
  if (errors.length > 1 || !errors.every((told) => CODES.includes(told))) throw new Error(`${story}: ${errors.join()}`)
  const atOnce = new DecoderProbe(LIMIT).push(bytes).told
  if (atOnce.join('|') !== probe.told.join('|'))
    throw new Error(`${story}: at once ${atOnce.join('|')}, else ${probe.told.join('|')}`)
}
