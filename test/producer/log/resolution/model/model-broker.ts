/**
 * A reference model of one partition over its brokers, from the rules B-5..B-12 of kafka.md 4 alone: it shares no line
 * with the client or with lib/broker.
 */
const SEQUENCES = 2n ** 31n

export interface Stored {
  readonly producerId: bigint
  readonly epoch: number
  readonly base: bigint
  readonly count: number
  readonly maxTimestamp: bigint
  readonly bytes: Buffer
  offset: number
}

interface Remembered {
  readonly first: bigint
  readonly last: bigint
  readonly offset: number
  readonly count: number
  readonly time: bigint
}

interface State {
  readonly epoch: number
  readonly batches: Remembered[]
}

export interface Produced {
  readonly code: number
  readonly baseOffset: number
  readonly time: bigint
}

const after = (sequence: bigint, count: number) => (sequence + BigInt(count)) % SEQUENCES

export class ModelBroker {
  log: Stored[] = []
  states = new Map<bigint, State>()
  highWatermark = 0
  leaderId = 1
  leaderEpoch = 0

  get logEnd(): number {
    const last = this.log.at(-1)
    return last === undefined ? 0 : last.offset + last.count
  }

  /** Appends or recognizes; whether it may be acknowledged is `isDurable`. */
  produce(bytes: Buffer, brokerId: number): Produced {
    if (brokerId !== this.leaderId) return { code: 6, baseOffset: -1, time: -1n }
    const batch = parse(bytes)
    const state = this.states.get(batch.producerId)
    const last = after(batch.base, batch.count - 1)
    if (state?.epoch === batch.epoch) {
      const known = state.batches.find((one) => one.first === batch.base && one.last === last)
      if (known !== undefined) return { code: 0, baseOffset: known.offset, time: known.time }
    }
    if (state !== undefined) {
      if (batch.epoch < state.epoch) return { code: 47, baseOffset: -1, time: -1n }
      const newest = state.batches.at(-1) as Remembered
      const expected = batch.epoch > state.epoch ? 0n : after(newest.last, 1)
      if (batch.base !== expected) return { code: 45, baseOffset: -1, time: -1n }
    }
    const offset = this.logEnd
    this.#append({ ...batch, offset })
    return { code: 0, baseOffset: offset, time: -1n }
  }

  isDurable(baseOffset: number): boolean {
    return this.highWatermark > baseOffset
  }

  replicate(): void {
    this.highWatermark = this.logEnd
  }

  /** A new leader; one that lagged behind has what was durable, and no more. */
  moveLeader(to: number, isLagging: boolean): void {
    this.leaderId = to
    this.leaderEpoch++
    if (isLagging) this.#keep(this.log.filter(({ offset, count }) => offset + count <= this.highWatermark))
  }

  /** A clean stop keeps the last batch of each producer (B-12). */
  restartCleanly(): void {
    this.leaderEpoch++
    for (const [id, { epoch, batches }] of this.states) this.states.set(id, { epoch, batches: batches.slice(-1) })
  }

  forget(): void {
    this.states.clear()
  }

  #keep(log: Stored[]): void {
    this.log = []
    this.states.clear()
    for (const batch of log) this.#append(batch)
  }

  #append(batch: Stored): void {
    const { producerId, epoch, base, count, offset, maxTimestamp } = batch
    this.log.push(batch)
    const state = this.states.get(producerId)
    const kept = state?.epoch === epoch ? state.batches.slice(-4) : []
    const newest = { first: base, last: after(base, count - 1), offset, count, time: maxTimestamp }
    this.states.set(producerId, { epoch, batches: [...kept, newest] })
  }
}

export function parse(bytes: Buffer): Stored {
  return {
    producerId: bytes.readBigInt64BE(43),
    epoch: bytes.readInt16BE(51),
    base: BigInt(bytes.readInt32BE(53)),
    count: bytes.readInt32BE(57),
    maxTimestamp: bytes.readBigInt64BE(35),
    bytes,
    offset: -1,
  }
}
