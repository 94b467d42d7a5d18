/**
 * One life of a producer until a crash, and what the resolution makes of it. Everything follows from the seed.
 * The verdict comes from the partition's log: what our log held is there once, in order, whatever happened on the way.
 */
import { Resolution } from '../../../../../lib/producer/log/resolution/resolution.js'
import { Pauses, type RandomSource, randomInt, seededRandom } from '../../../../../lib/util/index.js'
import type { Entry } from '../../../../../lib/wal/index.js'
import { makeBatch } from '../../../../broker/batches.js'
import { type FakeStream, FakeWal } from '../support/fake-wal.js'
import { Told, walSettings } from '../support/stage.js'
import { JumpClock } from './jump-clock.js'
import { ModelBroker, parse } from './model-broker.js'
import { ModelCluster } from './model-cluster.js'

export type Mode =
  /** C1..C8 hold: exact, nothing is held. */
  | 'sound'
  /** The leader's memory is gone, the log is whole: a header scan is exact too. */
  | 'forgotten'
  /** No READ: exact, or held. */
  | 'unreadable'

const FRESH = 900n
const LAST_EPOCH = 32_767
const WRAP = 2 ** 31
/** Under no other name: everything in the log that is ours. */
const nameOf = (bytes: Buffer) =>
  bytes
    .subarray(61)
    .toString('latin1')
    .match(/<(\w+)>/)?.[1] ?? '?'

interface Identity {
  readonly producerId: bigint
  readonly epoch: number
  readonly first: number
}

export interface Story {
  readonly mode: Mode
  readonly entries: number
  readonly held: boolean
  readonly edges: readonly string[]
}

export class History {
  readonly #random: RandomSource
  readonly #seed: number
  readonly #clock = new JumpClock()
  readonly #broker = new ModelBroker()
  readonly #wal: FakeWal
  readonly #told = new Told()
  /** Names of what was sent, or was to be sent, in order; those our log holds at the crash. */
  readonly #accepted: string[] = []
  readonly #lostTail = new Set<string>()

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#wal = new FakeWal({ durability: 'os', mayHaveLostPower: this.#chance(0.3) }, 'model')
  }

  async run(): Promise<Story> {
    const mode = this.#pick<Mode>(['sound', 'sound', 'sound', 'forgotten', 'unreadable'])
    const isMild = mode === 'forgotten'
    const cluster = new ModelCluster(this.#broker, seededRandom(this.#seed ^ 0x5bd1e995), {
      trouble: this.#chance(0.3) ? 0 : 0.15,
      moves: !isMild && this.#chance(0.5),
      zombies: !isMild,
      isReadable: mode !== 'unreadable',
    })
    const entries = this.#live(mode, cluster)
    const settings = walSettings({ zombieWaitMs: 1000 })
    const pauses = new Pauses(this.#clock)
    const resolution = new Resolution({
      wal: this.#wal.wal,
      cluster: cluster.asCluster,
      settings,
      clock: this.#clock,
      random: seededRandom(this.#seed ^ 0x9747b28c),
      pauses,
      requestTimeoutMs: 2000,
      events: this.#told,
    })
    resolution.start()
    await resolution.done
    pauses.stop()
    this.#check(mode, entries, resolution)
    cluster.calm()
    this.#goOn()
    this.#judge()
    return { mode, entries: entries.length, held: this.#told.holds.length > 0, edges: [...resolution.edges.keys()] }
  }

  /** Until the crash: some batches are in the partition's log, some on their way, some only in ours. */
  #live(mode: Mode, cluster: ModelCluster): Entry[] {
    const stream = this.#wal.addStream('orders', ModelCluster.topicId, 0)
    const identities = this.#identities(mode)
    const hasPrelude = mode === 'forgotten' || this.#chance(0.5)
    const all: { readonly entry: Entry; readonly bytes: Buffer }[] = []
    for (const [index, { producerId, epoch, first }] of identities.entries()) {
      this.#wal.identities.push({ producerId, epoch, clusterId: 'model' })
      let baseSequence = first
      if (index === 0 && (hasPrelude || first > 0)) baseSequence = this.#prelude(producerId, epoch, first)
      for (let batch = 1 + randomInt(this.#random, index === 0 ? 9 : 4); batch > 0; batch--) {
        const count = 1 + randomInt(this.#random, 3)
        const name = `b${this.#accepted.length}`
        this.#accepted.push(name)
        const bytes = this.#bytes(name, count, producerId, epoch, baseSequence)
        const spec = { producerId, epoch, baseSequence, count, maxTimestampMs: this.#clock.now(), bytes }
        all.push({ entry: this.#wal.add(stream, spec), bytes })
        baseSequence = (baseSequence + count) % WRAP
      }
    }
    this.#leave(all, cluster, mode)
    return [...this.#wal.entriesOf(stream.id)]
  }

  /** A prefix was written, the next ones are on their way; acknowledgements of a prefix of those are logged. */
  #leave(all: readonly { readonly entry: Entry; readonly bytes: Buffer }[], cluster: ModelCluster, mode: Mode): void {
    const written = randomInt(this.#random, all.length + 1)
    const isNewIdentity = (at: number) => all[at]?.entry.baseSequence === 0 && at > 0
    // C4: nothing follows the first batch of an identity before that one is acknowledged.
    const isGated = (at: number) => isNewIdentity(at) || (at === 0 && this.#broker.states.size <= 1)
    for (const [at, { bytes }] of all.slice(0, written).entries()) {
      // A lane takes other numbers only when nothing under the old ones is open.
      if (isNewIdentity(at) || isGated(at - 1)) this.#broker.replicate()
      this.#broker.produce(bytes, this.#broker.leaderId)
    }
    if (isNewIdentity(written) || isGated(written - 1)) this.#broker.replicate()
    const acked = this.#chance(0.5) ? randomInt(this.#random, written + 1) : 0
    let offset = this.#broker.log.length - written
    for (const { entry } of all.slice(0, acked)) {
      const at = (this.#broker.log[offset++] as { offset: number }).offset
      this.#wal.settle(entry.stream, entry.firstPosition, entry.firstPosition + entry.count - 1, 0, at)
      this.#broker.highWatermark = Math.max(this.#broker.highWatermark, at + entry.count)
    }
    if (mode !== 'forgotten') {
      // C4: at most five unacknowledged ones were on the wire.
      const open = all.slice(written, Math.max(written, acked + 5))
      const sameNumbers = open.findIndex((_, index) => index > 0 && isNewIdentity(written + index))
      const most = isGated(written) ? 1 : sameNumbers < 0 ? open.length : sameNumbers
      const onWire = open.slice(0, randomInt(this.#random, Math.min(most, open.length) + 1))
      cluster.late.push(...onWire.map(({ bytes }) => ({ bytes, brokerId: this.#broker.leaderId })))
    } else {
      this.#broker.replicate()
      this.#broker.forget()
    }
    if (this.#chance(0.3)) this.#broker.restartCleanly()
    if (mode === 'sound' && this.#wal.recovered.previous?.mayHaveLostPower === true) this.#loseTail(all, acked)
  }

  /** Power loss: our log lost its tail, what of it was on the wire was not lost. */
  #loseTail(all: readonly { readonly entry: Entry }[], acked: number): void {
    const kept = acked + randomInt(this.#random, all.length - acked + 1)
    this.#wal.cut(all.slice(kept).map(({ entry }) => entry))
    for (const name of this.#accepted.splice(kept)) this.#lostTail.add(name)
  }

  /** Acknowledged records of the same identity, so that sequences may begin anywhere. */
  #prelude(producerId: bigint, epoch: number, first: number): number {
    const count = 3
    const bytes = this.#bytes('w', count, producerId, epoch, first)
    const { baseOffset } = this.#broker.produce(bytes, this.#broker.leaderId)
    this.#broker.replicate()
    const stream = this.#wal.streams[0] as FakeStream
    const lastAckedSequence = (first + count - 1) % WRAP
    stream.acked.push({ producerId, epoch, lastAckedSequence, maxTimestampMs: this.#clock.now() })
    stream.lastAckedOffset = baseOffset + count - 1
    return (first + count) % WRAP
  }

  #identities(mode: Mode): Identity[] {
    const first = this.#pick([0, 0, 5, WRAP - 1, WRAP - 4, WRAP - 9])
    const epoch = this.#pick([0, 0, 7, LAST_EPOCH - 1, LAST_EPOCH])
    const identities: Identity[] = [{ producerId: 100n, epoch, first }]
    // Where state is gone only a logged acknowledgement tells that there was any: the first identity has one.
    const more = mode !== 'forgotten' && this.#chance(0.3) ? 1 + randomInt(this.#random, 2) : 0
    for (let index = 0; index < more; index++) {
      const before = identities.at(-1) as Identity
      const isRaised = before.epoch < LAST_EPOCH && this.#chance(0.5)
      identities.push({
        producerId: isRaised ? before.producerId : before.producerId + 1n,
        epoch: isRaised ? before.epoch + 1 : 0,
        first: 0,
      })
    }
    return identities
  }

  #check(mode: Mode, entries: readonly Entry[], { verdicts }: Resolution): void {
    const told = this.#told
    if (told.fatals.length > 0) throw this.#failure(`fatal: ${told.fatals[0]?.message}`)
    if (told.openings.length + told.holds.length !== (entries.length > 0 ? 1 : 0)) throw this.#failure('not told once')
    if (mode !== 'unreadable' && told.holds.length > 0) {
      throw this.#failure(`held: ${JSON.stringify(told.holds[0])}, ${JSON.stringify(told.edges.at(-1))}`)
    }
    if (told.losses.length > 0) throw this.#failure(`a loss was reported: ${JSON.stringify(told.losses)}`)
    const decided = [...verdicts.values()].reduce((sum, count) => sum + count, 0)
    if (told.holds.length === 0 && decided !== entries.length)
      throw this.#failure(`${decided} of ${entries.length} decided`)
  }

  /** The lane: leftovers first, then new records, under an identity of its own. */
  #goOn(): void {
    if (this.#told.holds.length > 0) return
    let baseSequence = 0
    const fresh = (name: string) => {
      const { code } = this.#broker.produce(this.#bytes(name, 1, FRESH, 0, baseSequence++), this.#broker.leaderId)
      if (code !== 0) throw this.#failure(`the broker refused new data: ${code}`)
    }
    const position = new Map(
      [...this.#wal.streams].flatMap(({ id }) => this.#wal.entriesOf(id)).map((one, at) => [one, at]),
    )
    for (const { leftovers } of this.#told.openings) for (const entry of leftovers) fresh(`left${position.get(entry)}`)
    for (const name of ['n1', 'n2']) {
      this.#accepted.push(name)
      fresh(name)
    }
  }

  #judge(): void {
    const whole = this.#broker.log.map(({ bytes }) => nameOf(bytes)).filter((name) => name !== 'w')
    const doubled = whole.filter((name, at) => whole.indexOf(name) !== at)
    if (doubled.length > 0) throw this.#failure(`written twice: ${doubled}; the log is ${whole}`)
    const log = whole.filter((name) => !this.#lostTail.has(name))
    if (this.#told.holds.length > 0) {
      // Of what is held nobody knows; what was settled as delivered is there.
      if (`${log}` !== `${this.#accepted.slice(0, log.length)}`) throw this.#failure(`out of order: ${log}`)
      return
    }
    if (`${log}` !== `${this.#accepted}`) throw this.#failure(`expected ${this.#accepted}, the log is ${log}`)
  }

  #bytes(name: string, count: number, producerId: bigint, producerEpoch: number, baseSequence: number): Buffer {
    const values = Array.from({ length: count }, () => `<${name}>`)
    const bytes = makeBatch({ values, producerId, producerEpoch, baseSequence, timestamp: this.#clock.now() })
    if (parse(bytes).count !== count) throw this.#failure('the model cannot read its own batches')
    return bytes
  }

  #failure(what: string): Error {
    return new Error(
      `seed ${this.#seed}: ${what}\n  replay: SEED=${this.#seed} npx vitest run test/producer/log/resolution/identity-rules.property.test.ts`,
    )
  }

  #pick<T>(from: readonly T[]): T {
    return from[randomInt(this.#random, from.length)] as T
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability
  }
}
