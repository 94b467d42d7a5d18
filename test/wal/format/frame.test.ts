/** Frames, segment headers and their checksums: round trips, every field, every bit. wal.md 2.3, 2.4. */
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../../lib/util/index.js'
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../../lib/wal/format/constants.js'
import {
  FrameHeader,
  frameBytes,
  isBodyGood,
  readFrameHeader,
  saltCrcOf,
  sealFrame,
  sealFrameOf,
} from '../../../lib/wal/format/frame.js'
import { getI64, getU64, putI64, putU64 } from '../../../lib/wal/format/integers.js'
import { crcOfRange } from '../../../lib/wal/format/range-crc.js'
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from '../../../lib/wal/format/segment-header.js'

const SALT = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
const SALT_CRC = saltCrcOf(SALT)

function sealed(bodyLength: number, lsn = 5, lag = 2): { bytes: Uint8Array; view: DataView; end: number } {
  const bytes = new Uint8Array(8 + frameBytes(bodyLength) + 64).fill(0xee)
  const view = new DataView(bytes.buffer)
  for (let index = 0; index < bodyLength; index++) bytes[8 + FRAME_HEADER_BYTES + index] = index * 3
  const end = sealFrame(bytes, view, 8, bodyLength, 5, 1, lsn, lag, 9, SALT_CRC)
  return { bytes, view, end }
}

describe('frame', () => {
  it.each([0, 1, 7, 8, 9, 63, 200, 5000])('wal.md 2.4: a body of %d B, read as it was written', (bodyLength) => {
    const { bytes, view, end } = sealed(bodyLength)
    const header = new FrameHeader()
    expect(readFrameHeader(bytes, view, 8, SALT_CRC, header)).toBe(true)
    expect(header).toMatchObject({ bodyLength, type: 5, flags: 1, lsn: 5, durableLag: 2, incarnation: 9 })
    expect(isBodyGood(bytes, 8, header)).toBe(true)
    expect(end).toBe(8 + frameBytes(bodyLength))
    expect(end % 8).toBe(0)
    expect([...bytes.subarray(8 + FRAME_HEADER_BYTES + bodyLength, end)].every((byte) => byte === 0)).toBe(true)
    expect(bytes[end]).toBe(0xee)
  })

  it('wal.md 2.4: bodyCrc is crc32c(salt, header[8..32), body), headerCrc without the body', () => {
    const { bytes, view } = sealed(100)
    const checked = bytes.subarray(16, 8 + FRAME_HEADER_BYTES + 100)
    expect(view.getUint32(8, true)).toBe(crc32c(Buffer.concat([SALT, checked])) >>> 0)
    expect(view.getUint32(12, true)).toBe(crc32c(Buffer.concat([SALT, checked.subarray(0, 24)])) >>> 0)
  })

  it('wal.md 2.4: each bit of header and body is covered', () => {
    const { bytes, view } = sealed(40)
    const header = new FrameHeader()
    for (let bit = 0; bit < (FRAME_HEADER_BYTES + 40) * 8; bit++) {
      bytes[8 + (bit >> 3)] = (bytes[8 + (bit >> 3)] as number) ^ (1 << (bit & 7))
      const isGood = readFrameHeader(bytes, view, 8, SALT_CRC, header) && isBodyGood(bytes, 8, header)
      expect(isGood, `bit ${bit}`).toBe(false)
      bytes[8 + (bit >> 3)] = (bytes[8 + (bit >> 3)] as number) ^ (1 << (bit & 7))
    }
  })

  it('wal.md 2.4: another salt, type 0 and an LSN beyond 2^53 are no frame', () => {
    const { bytes, view } = sealed(40)
    const header = new FrameHeader()
    expect(readFrameHeader(bytes, view, 8, saltCrcOf(new Uint8Array(8)), header)).toBe(false)
    sealFrame(bytes, view, 8, 40, 0, 0, 5, 0, 1, SALT_CRC)
    expect(readFrameHeader(bytes, view, 8, SALT_CRC, header)).toBe(false)
    sealFrame(bytes, view, 8, 40, 5, 0, 2 ** 60, 0, 1, SALT_CRC)
    expect(readFrameHeader(bytes, view, 8, SALT_CRC, header)).toBe(false)
  })

  it('wal.md 2.4: durableLag saturates', () => {
    const { bytes, view } = sealed(8, 2 ** 40, 2 ** 39)
    const header = new FrameHeader()
    expect(readFrameHeader(bytes, view, 8, SALT_CRC, header)).toBe(true)
    expect(header).toMatchObject({ lsn: 2 ** 40, durableLag: 0xffff_ffff })
  })

  it('wal.md 2.4: a known CRC of the body gives the same frame', () => {
    const { bytes, view } = sealed(333)
    const before = bytes.slice()
    const bodyCrc = crc32c(bytes.subarray(8 + FRAME_HEADER_BYTES, 8 + FRAME_HEADER_BYTES + 333))
    sealFrameOf(bytes, view, 8, 333, bodyCrc, 5, 1, 5, 2, 9, SALT_CRC)
    expect(bytes).toEqual(before)
  })
})

describe('numbers and checksums', () => {
  it('wal.md 2: 64-bit integers, to the edge of what is safe', () => {
    const view = new DataView(new ArrayBuffer(8))
    for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
      putU64(view, 0, value)
      expect(getU64(view, 0)).toBe(value)
      expect(view.getBigUint64(0, true)).toBe(BigInt(value))
      putI64(view, 0, -value)
      expect(getI64(view, 0) + value).toBe(0)
      expect(view.getBigInt64(0, true)).toBe(BigInt(-value))
    }
    view.setBigUint64(0, 2n ** 53n, true)
    expect(getU64(view, 0)).toBe(-1)
  })

  it('wal.md 2.4: a range has the CRC-32C of its bytes, wherever it stands', () => {
    const bytes = Uint8Array.from({ length: 700 }, (_, index) => (index * 2_654_435_761) >>> 13)
    for (let from = 0; from < 9; from++) {
      for (let length = 0; length < 300; length++) {
        const expected = crc32c(bytes.slice(from, from + length), 0x1234_5678) >>> 0
        expect(crcOfRange(bytes, from, from + length, 0x1234_5678)).toBe(expected)
      }
    }
  })
})

describe('segment header', () => {
  const header: SegmentHeader = {
    major: 1,
    minor: 3,
    walId: Uint8Array.from({ length: 16 }, (_, index) => index),
    segment: 2 ** 40 + 1,
    salt: SALT,
    segmentBytes: 2 ** 33,
    sectorBytes: 4096,
    incarnation: 77,
    createdAtMs: 1_700_000_000_123,
    features: 5,
  }
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES).fill(1)
  encodeSegmentHeader(header, bytes)

  it('wal.md 2.3: every field, in both copies, the rest zero', () => {
    expect(decodeSegmentHeader(bytes)).toEqual({ header, badCopies: 0 })
    expect(bytes.slice(0, 2048)).toEqual(bytes.slice(2048))
    expect(Buffer.from(bytes.subarray(0, 8)).toString()).toBe('TDMQWAL1')
    expect(bytes.subarray(76, 2048).every((byte) => byte === 0)).toBe(true)
  })

  it('wal.md 2.3: either copy suffices, and a bad one is told', () => {
    for (const at of [0, 2048]) {
      for (let byte = 0; byte < 2048; byte += byte < 128 ? 1 : 97) {
        const hurt = bytes.slice()
        hurt[at + byte] = (hurt[at + byte] as number) ^ 0x10
        expect(decodeSegmentHeader(hurt)).toEqual({ header, badCopies: 1 })
        if (byte < 128) {
          hurt[(at ^ 2048) + byte] = (hurt[(at ^ 2048) + byte] as number) ^ 0x20
          expect(decodeSegmentHeader(hurt)).toBeNull()
        }
      }
    }
    expect(decodeSegmentHeader(bytes.subarray(0, 4095))).toBeNull()
  })
})
