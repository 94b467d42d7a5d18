/**
 * One writer and one reader on one thread: 10,000 writes, then 10,000 reads, released; the time is of one write and its read.
 * Method of the original, which neither released nor looked: here each record is looked at, inside the measured time.
 * Below 64 KiB one payload is copied on writing and carries a counter. From there on nothing moves, as in the original:
 * the payloads are written by reference, in turn, and each carries its place in that turn.
 */
import { ByteChannel, type Chunk, ItemChannel } from '../../lib/channel/index.js'
import type { CaseOf, ChannelWork } from './channel-job.js'

const MIB = 1024 * 1024
const BY_REFERENCE_FROM_BYTES = 64 * 1024
/** Written before anything is read; the size of a buffer. */
const TURN = 10_000
const BATCH = 1000
/** A prime, so that a record out of place is not found right by chance. */
const PAYLOADS = 61

export function writeAndRead({ payloadBytes, mode, api }: CaseOf<'writeRead'>): ChannelWork {
  const copies = payloadBytes < BY_REFERENCE_FROM_BYTES
  const channel = new ByteChannel({
    maxRecords: TURN,
    maxBytes: 1024 * MIB,
    copyOnWrite: copies,
    readMode: mode,
    bufferMemoryBytes: 1024 * MIB,
  })
  const payloads = copies ? new CountedPayload(payloadBytes) : new PayloadsInTurn(payloadBytes)
  const tally = new Tally((chunk: Chunk, number) => {
    if (!payloads.isRight(chunk.bytes as Buffer, number)) throw new Error(`record ${number} is not the one written`)
    chunk.release()
  })
  const readTurn = readerOf(channel, api, tally)
  const writeTurn = () => {
    const from = tally.read
    for (let number = from; number < from + TURN; number++) channel.write(payloads.at(number))
  }
  return {
    run: readTurn.isSync ? syncRun(writeTurn, readTurn.run, tally) : asyncRun(writeTurn, readTurn.run, tally),
    verified: () => tally.read,
    end: async () => {
      const { usedBytes } = channel
      if (usedBytes !== 0) throw new Error(`${usedBytes} B are still charged after everything was released`)
      const closing = channel.close({ drain: false })
      await readTurn.end?.()
      await closing
    },
  }
}

/** `ItemChannel`: one object per record, made once, read one by one or as sealed batches. */
export function items({ by }: CaseOf<'items'>): ChannelWork {
  interface Item {
    number: number
  }
  const channel = new ItemChannel<Item>({ maxRecords: 1000, bufferMaxRecords: 20_000 })
  const objects: Item[] = Array.from({ length: TURN }, () => ({ number: -1 }))
  const tally = new Tally((item: Item, number) => {
    if (item.number !== number) throw new Error(`expected item ${number}, got ${item.number}`)
  })
  const writeTurn = () => {
    for (let index = 0; index < TURN; index++) {
      const item = objects[index] as Item
      item.number = tally.read + index
      channel.write(item)
    }
  }
  const readItems = () => {
    for (let item = channel.tryRead(); item !== undefined; item = channel.tryRead()) tally.note(item)
  }
  const readBatches = () => {
    for (let buffer = channel.take(); buffer !== undefined; buffer = channel.take()) {
      for (const item of buffer.items) tally.note(item)
      channel.recycle(buffer)
    }
  }
  return {
    run: syncRun(writeTurn, by === 'item' ? readItems : readBatches, tally),
    verified: () => tally.read,
    end: () => channel.close({ drain: false }).then(() => {}),
  }
}

/** Looks at each record and counts; somebody may wait for a number of them. */
class Tally<Item> {
  read = 0
  readonly #look: (item: Item, number: number) => void
  #goal = Number.POSITIVE_INFINITY
  #reached: () => void = () => {}
  #failed: (error: unknown) => void = () => {}

  constructor(look: (item: Item, number: number) => void) {
    this.#look = look
  }

  note(item: Item): void {
    this.#look(item, this.read)
    this.read++
    if (this.read >= this.#goal) this.#reached()
  }

  /** For readers that run by themselves; begin to wait before they can run. */
  async until(count: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#goal = count
      this.#reached = resolve
      this.#failed = reject
      if (this.read >= count) resolve()
    })
    this.#goal = Number.POSITIVE_INFINITY
  }

  fail(error: unknown): void {
    this.#failed(error)
  }
}

function syncRun<Item>(writeTurn: () => void, readTurn: () => unknown, tally: Tally<Item>): (count: number) => void {
  return (count) => {
    for (let done = 0; done < count; done += TURN) {
      const before = tally.read
      writeTurn()
      readTurn()
      if (tally.read !== before + TURN) throw new Error(`read ${tally.read - before} of ${TURN}`)
    }
  }
}

function asyncRun<Item>(writeTurn: () => void, readTurn: () => unknown, tally: Tally<Item>) {
  return async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += TURN) {
      const before = tally.read
      writeTurn()
      await readTurn()
      if (tally.read !== before + TURN) throw new Error(`read ${tally.read - before} of ${TURN}`)
    }
  }
}

interface TurnReader {
  readonly isSync: boolean
  run(): unknown
  end?(): unknown
}

/** Reads the records of one turn, in one of the ways the channel offers. */
function readerOf(channel: ByteChannel, api: CaseOf<'writeRead'>['api'], tally: Tally<Chunk>): TurnReader {
  if (api === 'tryRead') return { isSync: true, run: () => readAll(channel, tally) }
  if (api === 'read') return { isSync: false, run: () => readOneByOne(channel, tally) }
  if (api === 'readBatch') return { isSync: false, run: () => readBatches(channel, tally) }
  // The other two read by themselves, from the moment the turn's buffer is sealed.
  const untilTurnIsRead = () => tally.until(tally.read + TURN)
  channel.on('error', (error) => tally.fail(error))
  if (api === 'onData')
    return { isSync: false, run: untilTurnIsRead, end: channel.onData((chunk) => tally.note(chunk)) }
  const loop = readForAwait(channel, tally)
  return { isSync: false, run: untilTurnIsRead, end: () => loop }
}

function readAll(channel: ByteChannel, tally: Tally<Chunk>): void {
  for (let chunk = channel.tryRead(); chunk !== undefined; chunk = channel.tryRead()) tally.note(chunk)
}

async function readOneByOne(channel: ByteChannel, tally: Tally<Chunk>): Promise<void> {
  for (let left = TURN; left > 0; left--) tally.note(await channel.read())
}

async function readBatches(channel: ByteChannel, tally: Tally<Chunk>): Promise<void> {
  for (let left = TURN; left > 0; ) {
    const chunks = await channel.readBatch(BATCH)
    for (const chunk of chunks) tally.note(chunk)
    left -= chunks.length
  }
}

async function readForAwait(channel: ByteChannel, tally: Tally<Chunk>): Promise<void> {
  try {
    for await (const chunk of channel) tally.note(chunk)
  } catch (error) {
    tally.fail(error)
  }
}

/** One payload for all records, copied by the channel, with the number of the record in it. */
class CountedPayload {
  readonly #bytes: Buffer

  constructor(payloadBytes: number) {
    this.#bytes = Buffer.alloc(payloadBytes, 'x')
  }

  at(number: number): Buffer {
    this.#bytes.writeUInt32LE(number >>> 0, 0)
    return this.#bytes
  }

  isRight(bytes: Buffer, number: number): boolean {
    return bytes.length === this.#bytes.length && bytes.readUInt32LE(0) === number >>> 0
  }
}

/** Payloads that are handed on by reference; stamps lie apart, or all of them would fall into one set of the cache. */
class PayloadsInTurn {
  readonly #payloads: Buffer[]

  constructor(payloadBytes: number) {
    this.#payloads = Array.from({ length: PAYLOADS }, (_, index) => {
      const bytes = Buffer.alloc(payloadBytes, 'x')
      bytes.writeUInt32LE(index, index * 64)
      return bytes
    })
  }

  at(number: number): Buffer {
    return this.#payloads[number % PAYLOADS] as Buffer
  }

  isRight(bytes: Buffer, number: number): boolean {
    const index = number % PAYLOADS
    return bytes.readUInt32LE(index * 64) === index
  }
}
