/**
 * Payloads in, payloads out: the double-buffered channel of Chanjet and TurboStream. Hot path: `write`, `tryRead`.
 * Ownership: with `copyOnWrite` the caller may reuse his bytes when `write` returns; without, they stay his but must
 * not change until they were read. A chunk's bytes are the reader's until he releases it.
 * Invariant: a chunk gives its memory back exactly once, however often it is released. CH-4, CH-12, CH-16.
 */
import { MQError, toMQError } from '../errors/index.js'
import { Arena } from './arena.js'
import { ArenaPool, smallArenaPool } from './arena-pool.js'
import { BufferedChannel, chargeOf } from './buffered-channel.js'
import type { BufferedChannelOptions } from './buffered-types.js'
import { ByteBuffer, type Holder } from './byte-buffer.js'
import { BUFFERED_RULES, boolean, checkOptions, checkWait, type OptionRules, objectWith, oneOf } from './options.js'
import type { WaitOptions } from './waiters.js'

export interface ByteChannelOptions extends BufferedChannelOptions {
  /** False: keep a reference instead of a copy. Default true. */
  readonly copyOnWrite?: boolean
  /**
   * 'safe' (default): below 1,024 B a copy, to 32,768 B a leased view, above a view. 'zeroCopy': always a leased view.
   * A leased view counts against `bufferMemoryBytes` until `release()`.
   */
  readonly readMode?: 'safe' | 'zeroCopy'
  /** Where copies live; share one pool among channels. Default: a pool of its own. */
  readonly arenas?: ArenaPool
}

/** A payload that was read. `release()` gives its memory back; twice is harmless; after it `bytes` must not be touched. */
export interface Chunk {
  readonly bytes: Uint8Array
  readonly length: number
  release(): void
  /** `release()`, for `using`. */
  [Symbol.dispose](): void
}

const KIB = 1024
const MIB = 1024 * KIB
const BYTE_DEFAULTS = Object.freeze({ maxRecords: 10_000, maxBytes: 100 * MIB, windowMs: 5000 })
/** Safe reading copies below this, so that a chunk that is kept pins no arena. */
const COPY_BELOW_BYTES = 1024
/** Safe reading leases up to this; larger payloads own their memory, which the garbage collector takes back. */
const LEASE_TO_BYTES = 32 * KIB
const POOL_BYTES = 16 * MIB
const BYTE_RULES: OptionRules = {
  ...BUFFERED_RULES,
  copyOnWrite: boolean,
  readMode: oneOf('safe', 'zeroCopy'),
  arenas: objectWith('an ArenaPool', 'take', 'retain', 'release', 'stats'),
}

export class ByteChannel extends BufferedChannel<ByteBuffer, Chunk, Uint8Array, Buffer> {
  readonly #arenas: ArenaPool
  readonly #small: ArenaPool
  readonly #copies: boolean
  readonly #isSafe: boolean
  readonly #copyReturns: Returns = (arena) => this.#small.release(arena as Arena)
  readonly #leaseReturns: Returns = (arena, chargeBytes, begun) => {
    this.overdue.end(begun)
    if (arena !== null) this.#arenas.release(arena)
    this.giveBack(chargeBytes)
  }

  /**
   * ```ts
   * const channel = new ByteChannel({ maxRecords: 1000, windowMs: 20 })
   * channel.write(Buffer.from('hello'))
   * const chunk = await channel.read()
   * chunk.release()
   * ```
   */
  constructor(options: ByteChannelOptions = {}) {
    checkOptions(options, BYTE_RULES)
    super(options, BYTE_DEFAULTS, () => new ByteBuffer())
    this.#arenas = options.arenas ?? new ArenaPool({ maxRetainedBytes: POOL_BYTES })
    this.#small = smallArenaPool()
    this.#copies = options.copyOnWrite ?? true
    this.#isSafe = (options.readMode ?? 'safe') === 'safe'
  }

  /**
   * Takes a payload; an empty one is legal. False means that the soft limit is passed: slow down, or await `ready()`.
   * With `onFull: 'spill'` false, too, for what went into the log.
   * Throws PRODUCER_CLOSED/CHANNEL_CLOSED, POOL_EXHAUSTED/BUFFER_FULL or WAL_FULL, MESSAGE_TOO_LARGE (WAL_FRAME_TOO_LARGE: for
   * the log), PRODUCE_FAILED/WAL_FAILED; nothing was taken then.
   */
  write(bytes: Uint8Array): boolean {
    const charge = chargeOf(lengthOf(bytes))
    if (this.tryAdmit(charge)) return this.#append(bytes, charge)
    if (this.spills(charge) && this.spillNow(bytes, bytes.length)) return false
    this.admit(charge)
    return this.#append(bytes, charge)
  }

  /**
   * As `write`, but with `onFull: 'block'` or 'spill' waits for room (in memory, in the log), in the order of the calls; past
   * `maxBlockMs` TIMEOUT/BUFFER_FULL.
   */
  override writeAsync(bytes: Uint8Array, options: WaitOptions = {}): Promise<boolean> {
    return this.#writeLater(bytes, options, false)
  }

  protected override writeFromStream(bytes: Uint8Array, options: WaitOptions): Promise<boolean> {
    return this.#writeLater(bytes, options, true)
  }

  async #writeLater(bytes: Uint8Array, options: WaitOptions, isStream: boolean): Promise<boolean> {
    checkWait(options)
    const charge = chargeOf(lengthOf(bytes))
    if (this.tryAdmit(charge)) return this.#append(bytes, charge)
    const spills = this.spills(charge)
    if (spills && this.spillNow(bytes, bytes.length)) return false
    // The caller may reuse his bytes once we return to him, which for a waiting write is before they are taken.
    const mine = this.#copies ? Buffer.from(bytes) : bytes
    const append = () => this.#append(mine, charge)
    if (spills) return this.spillLater(mine, mine.length, charge, append, options)
    return this.admitLater(charge, options, isStream, append)
  }

  /** Buffers really allocated for copies, on writing and reading (metric `pool_alloc_total`). */
  override get allocations(): number {
    return this.#arenas.stats().allocations + this.#small.stats().allocations
  }

  protected override tryWrite(bytes: Uint8Array): boolean | undefined {
    const charge = chargeOf(lengthOf(bytes))
    return this.tryAdmit(charge) ? this.#append(bytes, charge) : undefined
  }

  /** Copied in any case: the payload is a view of a page, and would keep all of it. */
  protected override restore(payload: Uint8Array): number {
    const charge = chargeOf(payload.length)
    if (!this.readmit(charge)) return -1
    this.#append(payload, charge, true)
    return payload.length
  }

  #append(bytes: Uint8Array, charge: number, isCopied = this.#copies): boolean {
    const length = bytes.length
    if (length > this.maxBytes) this.sealBefore()
    const buffer = this.core.active
    if (!isCopied) buffer.keep(bytes)
    else this.#copyInto(buffer, bytes, charge)
    return this.wrote(buffer, length, charge)
  }

  #copyInto(buffer: ByteBuffer, bytes: Uint8Array, charge: number): void {
    try {
      if (this.#isSafe && bytes.length > LEASE_TO_BYTES) buffer.keep(ownCopy(bytes))
      else buffer.copy(bytes, this.#arenas)
    } catch (cause) {
      const text = `there is no memory for a copy of ${bytes.length} B`
      throw this.notAppended(charge, toMQError(cause, 'POOL_EXHAUSTED', text, { bytes: bytes.length }))
    }
  }

  protected override bytesAt(buffer: ByteBuffer, index: number): number {
    return buffer.lengths[index] as number
  }

  protected override chargeAt(buffer: ByteBuffer, index: number): number {
    return chargeOf(buffer.lengths[index] as number)
  }

  protected override wipe(buffer: ByteBuffer): void {
    buffer.wipe(this.#arenas)
  }

  protected override extract(buffer: ByteBuffer, index: number): Chunk {
    const holder = buffer.holders[index] as Holder
    const start = buffer.starts[index] as number
    const length = buffer.lengths[index] as number
    buffer.holders[index] = null
    if (this.#isSafe && length < COPY_BELOW_BYTES) return this.#copyOut(holder, start, length)
    if (this.#isSafe && length > LEASE_TO_BYTES) return new ByteChunk(holder as Uint8Array, null, null, 0, 0)
    return this.#lease(holder, start, length)
  }

  protected override isLeased(buffer: ByteBuffer, index: number): boolean {
    const length = buffer.lengths[index] as number
    return !this.#isSafe || (length >= COPY_BELOW_BYTES && length <= LEASE_TO_BYTES)
  }

  protected override letGo(chunk: Chunk): void {
    chunk.release()
  }

  protected override get holdsBytes(): boolean {
    return true
  }

  /** Large payloads own their memory when we have copied it on writing; everything else is copied out of ours. */
  protected override detach(chunk: Chunk): Buffer {
    const bytes = chunk.bytes as Buffer
    const isOwn = this.#isSafe && this.#copies && bytes.length > LEASE_TO_BYTES
    const detached = isOwn ? bytes : Buffer.from(bytes)
    chunk.release()
    return detached
  }

  #copyOut(holder: Holder, start: number, length: number): Chunk {
    const arena = this.#small.take(length)
    const target = arena.bytes
    if (holder instanceof Arena) holder.bytes.copy(target, 0, start, start + length)
    else target.set(holder)
    const bytes = length === arena.capacity ? target : target.subarray(0, length)
    return new ByteChunk(bytes, this.#copyReturns, arena, 0, 0)
  }

  #lease(holder: Holder, start: number, length: number): Chunk {
    const charge = chargeOf(length)
    const begun = this.overdue.begin()
    if (!(holder instanceof Arena)) return new ByteChunk(holder, this.#leaseReturns, null, charge, begun)
    this.#arenas.retain(holder)
    return new ByteChunk(holder.bytes.subarray(start, start + length), this.#leaseReturns, holder, charge, begun)
  }
}

/** Takes back what a chunk held; one per way of reading, so that a chunk needs no closure of its own. */
type Returns = (arena: Arena | null, chargeBytes: number, begun: number) => void

class ByteChunk implements Chunk {
  readonly bytes: Uint8Array
  readonly length: number
  #returns: Returns | null
  #arena: Arena | null
  readonly #chargeBytes: number
  readonly #begun: number

  constructor(bytes: Uint8Array, returns: Returns | null, arena: Arena | null, chargeBytes: number, begun: number) {
    this.bytes = bytes
    this.length = bytes.length
    this.#returns = returns
    this.#arena = arena
    this.#chargeBytes = chargeBytes
    this.#begun = begun
  }

  release(): void {
    const returns = this.#returns
    if (returns === null) return
    const arena = this.#arena
    this.#returns = null
    this.#arena = null
    returns(arena, this.#chargeBytes, this.#begun)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

function lengthOf(bytes: Uint8Array): number {
  if (bytes instanceof Uint8Array) return bytes.length
  throw new MQError('SERIALIZATION_FAILED', `a byte channel takes a Uint8Array, got ${typeof bytes}: encode it first`)
}

function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
