/**
 * Bodies of unsettled entries, CRC checked: from memory while their group is on its way, else from the file.
 * An entry may move while it is read (RELOC, rescue) and its old segment be used again: then it is read once more where
 * it is now. Descriptors of a few segments stay open.
 * Source: wal.md 3.1, 2.4.
 */
import { join } from 'node:path'
import { walError } from '../errors.js'
import { BATCH_PREFIX_BYTES, FRAME_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, frameBytes, isBodyGood, readFrameHeader, saltCrcOf } from '../format/frame.js'
import { segmentName } from '../format/manifest.js'
import type { LogTables } from '../state/tables.js'
import type { Entry } from '../types.js'
import { draftBodyBytes, draftEnd, draftType, entryLsnOf, holdsEntry } from './draft.js'
import type { FileCalls } from './file-calls.js'
import type { Group } from './group.js'

/** Segments whose descriptor stays open for reading. */
const OPEN_FILES = 4

interface OpenSegment {
  readonly fd: Promise<number>
  readers: number
  isForgotten: boolean
}

export class EntryReader {
  readonly #dir: string
  readonly #calls: FileCalls
  readonly #tables: LogTables
  /** Salts of the segments that exist. */
  readonly #saltOf: (segment: number) => Uint8Array | undefined
  readonly #inMemory: () => readonly Group[]
  /** In order of last use. */
  readonly #open = new Map<number, OpenSegment>()

  constructor(
    dir: string,
    calls: FileCalls,
    tables: LogTables,
    saltOf: (segment: number) => Uint8Array | undefined,
    inMemory: () => readonly Group[],
  ) {
    this.#dir = dir
    this.#calls = calls
    this.#tables = tables
    this.#saltOf = saltOf
    this.#inMemory = inMemory
  }

  /** @throws MQError WAL_CORRUPT: damaged on the disk; WAL_FAILED: no such entry, or the disk refused to read */
  async read(lsn: number): Promise<Uint8Array> {
    for (;;) {
      const entry = this.#tables.entry(lsn)
      if (entry === undefined) throw walError('WAL_FAILED', `LSN ${lsn} is no unsettled entry of this log`, { lsn })
      if (entry.at < 0) return this.#fromMemory(entry) ?? unwritten(entry)
      const { segment, at } = entry
      const content = await this.#fromFile(segment, at, entry)
      if (content !== null) return content
      if (entry.segment !== segment || entry.at !== at || this.#tables.entry(lsn) !== entry) continue
      // A sync that failed may have thrown the page away; what is not durable is kept in memory for that.
      return this.#fromMemory(entry) ?? damaged(entry)
    }
  }

  #fromMemory(entry: Entry): Uint8Array | null {
    for (const { bytes, view, length } of this.#inMemory()) {
      for (let at = 0; at < length; at = draftEnd(view, at)) {
        if (!holdsEntry(draftType(bytes, at)) || entryLsnOf(bytes, view, at) !== entry.lsn) continue
        const bodyAt = at + FRAME_HEADER_BYTES
        return bytes.slice(bodyAt + BATCH_PREFIX_BYTES, bodyAt + draftBodyBytes(view, at))
      }
    }
    return null
  }

  /** null: what stands there is not this entry. */
  async #fromFile(segment: number, at: number, entry: Entry): Promise<Uint8Array | null> {
    const salt = this.#saltOf(segment)
    if (salt === undefined) return null
    const bytes = new Uint8Array(frameBytes(entry.bodyBytes))
    const file = this.#fileOf(segment)
    file.readers++
    try {
      const read = await this.#calls.read(await file.fd, bytes, at)
      if (read < bytes.length) return null
    } catch (error) {
      // A file that was freed meanwhile is gone under its old name; the entry is elsewhere, or settled.
      if (entry.segment !== segment || this.#tables.entry(entry.lsn) !== entry) return null
      throw walError('WAL_FAILED', `cannot read ${segmentName(segment)} at byte ${at}`, { segment, at }, error)
    } finally {
      file.readers--
      this.#closeIfUnused(file)
    }
    const view = new DataView(bytes.buffer)
    const header = new FrameHeader()
    const saltCrc = saltCrcOf(salt)
    if (!readFrameHeader(bytes, view, 0, saltCrc, header) || header.bodyLength !== entry.bodyBytes) return null
    if (!isBodyGood(bytes, 0, header, saltCrc) || entryLsnOf(bytes, view, 0) !== entry.lsn) return null
    return bytes.subarray(FRAME_HEADER_BYTES + BATCH_PREFIX_BYTES, FRAME_HEADER_BYTES + header.bodyLength)
  }

  #fileOf(segment: number): OpenSegment {
    const known = this.#open.get(segment)
    if (known !== undefined) {
      this.#open.delete(segment)
      this.#open.set(segment, known)
      return known
    }
    const fd = this.#calls.open(join(this.#dir, segmentName(segment)), 'read')
    fd.catch(() => this.forget(segment))
    const file: OpenSegment = { fd, readers: 0, isForgotten: false }
    this.#open.set(segment, file)
    if (this.#open.size > OPEN_FILES) this.forget(this.#open.keys().next().value as number)
    return file
  }

  /** Its file is about to be given another use. */
  forget(segment: number): void {
    const file = this.#open.get(segment)
    if (file === undefined) return
    this.#open.delete(segment)
    file.isForgotten = true
    this.#closeIfUnused(file)
  }

  close(): void {
    for (const segment of [...this.#open.keys()]) this.forget(segment)
  }

  #closeIfUnused(file: OpenSegment): void {
    if (!file.isForgotten || file.readers > 0) return
    file.isForgotten = false
    // An open that failed has nothing to close; an error of close is counted by the call and changes nothing here.
    file.fd.then((fd) => this.#calls.close(fd)).catch(() => {})
  }
}

function unwritten({ lsn }: Entry): never {
  throw walError('WAL_FAILED', `LSN ${lsn} was not written before the log failed`, { lsn })
}

function damaged(entry: Entry): never {
  const { lsn, segment, at, bodyBytes, stream, firstPosition, count } = entry
  const text = `${segmentName(segment)}: the frame of LSN ${lsn} at byte ${at} (${bodyBytes} B) is damaged`
  throw walError('WAL_CORRUPT', `${text}: check the disk, then run "wal verify"`, {
    lsn,
    segment,
    at,
    stream,
    fromPosition: firstPosition,
    toPosition: firstPosition + count - 1,
  })
}
