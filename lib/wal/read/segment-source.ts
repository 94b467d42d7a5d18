/**
 * The bytes of one segment through a window that its readers share.
 * Why: a log may be larger than the memory, so 4 MiB at a time; a whole small directory fits into the same buffer and
 * is then read once, however often it is walked.
 * Invariant: bytes[at - origin] is the byte at position `at` for filledFrom <= at < filledTo; what could not be read is
 * zero there and listed in `unreadable`, because a read error is damage and never the end of a log.
 * Source: wal.md 2.8, 4.1.3.
 */
import type { MQError } from '../../errors/index.js'
import { type WalReason, walError } from '../errors.js'
import type { WalFs } from '../fs.js'
import { closeFile, openFile, readAt } from './disk-calls.js'

/** What a failed read is retried in, to find out how much is lost. */
const PIECE_BYTES = 4096

export interface ByteRange {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** A read that the disk refused once and granted later: nothing is lost, but a disk that does so has to be told of. */
export interface RefusedRead extends ByteRange {
  readonly errno: string
}

export class SegmentSource {
  readonly name: string
  readonly #fs: WalFs
  readonly #path: string
  bytes: Uint8Array
  view: DataView
  /** Position in the file of bytes[0]; negative when the segment begins inside the buffer. */
  origin: number
  filledFrom = 0
  filledTo = 0
  /** Nothing is behind this: the length of a segment, or of the file when it is shorter. */
  end: number
  readonly unreadable: ByteRange[] = []
  /** Why, the last time; '': everything could be read. */
  unreadableErrno = ''
  readonly refused: RefusedRead[] = []
  scannedBytes = 0
  #fd = -1
  readonly #windowAt: number
  readonly #windowBytes: number
  readonly #isShared: boolean

  /** `isShared`: other segments use the same window. The window is buffer[windowAt .. windowAt + windowBytes). */
  constructor(
    fs: WalFs,
    dir: string,
    name: string,
    segmentBytes: number,
    buffer: Uint8Array,
    view: DataView,
    windowAt: number,
    windowBytes: number,
    isShared: boolean,
  ) {
    this.#isShared = isShared
    this.#fs = fs
    this.#path = `${dir}/${name}`
    this.name = name
    this.end = segmentBytes
    this.bytes = buffer
    this.view = view
    this.#windowAt = windowAt
    this.#windowBytes = windowBytes
    this.origin = -windowAt
  }

  /** Longest range that can be in the window at once. Bytes. */
  get capacity(): number {
    return this.#windowBytes
  }

  /** Somebody else may have used the window: nothing of this segment is in it any more. */
  forget(): void {
    if (!this.#isShared) return
    this.filledFrom = 0
    this.filledTo = 0
  }

  /**
   * Has from..to in the window, as far as the file goes; `to - from` is at most `capacity`.
   * @throws MQError WAL_SEGMENT_MISSING, WAL_PERMISSION, WAL_FAILED: the file cannot be opened
   */
  async fill(from: number, to: number): Promise<void> {
    if (from >= this.filledFrom && Math.min(to, this.end) <= this.filledTo) return
    if (this.#fd < 0) this.#fd = await this.#open()
    let have = 0
    if (from >= this.filledFrom && from < this.filledTo) {
      have = this.filledTo - from
      const index = from - this.origin
      this.bytes.copyWithin(this.#windowAt, index, index + have)
    }
    this.origin = from - this.#windowAt
    this.filledFrom = from
    const want = Math.min(this.#windowBytes, Math.min(to, this.end) - from) - have
    const into = this.bytes.subarray(this.#windowAt + have, this.#windowAt + have + want)
    this.filledTo = from + have + (await this.#read(into, from + have))
    if (this.filledTo < from + have + want) this.end = this.filledTo
  }

  async close(): Promise<void> {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    await closeFile(this.#fs, fd)
  }

  async #open(): Promise<number> {
    try {
      return await openFile(this.#fs, this.#path)
    } catch (error) {
      throw notOpened(this.#path, this.name, error as NodeJS.ErrnoException)
    }
  }

  async #read(into: Uint8Array, position: number): Promise<number> {
    this.scannedBytes += into.length
    try {
      return await readAt(this.#fs, this.#fd, into, position)
    } catch (error) {
      const lost = this.unreadable.length
      const bytes = await this.#readPieces(into, position)
      const { code = '' } = error as NodeJS.ErrnoException
      const isLost = this.unreadable.length > lost || this.#isUnreadable(position, position + into.length)
      if (isLost) this.unreadableErrno = code
      else this.refused.push({ from: position, to: position + into.length, errno: code })
      return bytes
    }
  }

  /** Which bytes cannot be read is told by `unreadable`, and that is what is lost. */
  async #readPieces(into: Uint8Array, position: number): Promise<number> {
    for (let at = 0; at < into.length; at += PIECE_BYTES) {
      const piece = into.subarray(at, Math.min(at + PIECE_BYTES, into.length))
      try {
        const bytes = await readAt(this.#fs, this.#fd, piece, position + at)
        if (bytes < piece.length) return at + bytes
      } catch {
        piece.fill(0)
        this.#lost(position + at, position + at + piece.length)
      }
    }
    return into.length
  }

  #isUnreadable(from: number, to: number): boolean {
    return this.unreadable.some((range) => range.from < to && range.to > from)
  }

  #lost(from: number, to: number): void {
    const last = this.unreadable[this.unreadable.length - 1]
    if (last !== undefined && from <= last.to && to >= last.from) {
      this.unreadable[this.unreadable.length - 1] = { from: Math.min(from, last.from), to: Math.max(to, last.to) }
    } else this.unreadable.push({ from, to })
  }
}

const REASONS: Readonly<Record<string, WalReason>> = { ENOENT: 'WAL_SEGMENT_MISSING', EACCES: 'WAL_PERMISSION' }

/** ENOENT: whoever recycles segments beside a reader has taken it. */
function notOpened(path: string, file: string, error: NodeJS.ErrnoException): MQError {
  const { code = '' } = error
  const what =
    code === 'ENOENT'
      ? 'is not there (ENOENT): it never was, or was recycled meanwhile; look again'
      : `cannot be opened (${code}): look at the rights of this process and at the disk`
  return walError(REASONS[code] ?? 'WAL_FAILED', `${path} ${what}`, { path, file, errno: code }, error)
}
