/**
 * Channels with one deliberate defect each: what the model must find, or it proves nothing.
 * Why wrapped from outside: a mutant then lives on the same code as everybody, and needs no hook in it.
 */
import { ByteChannel, type Chunk, type ItemBuffer, ItemChannel, type WaitOptions } from '../../../lib/channel/index.js'
import type { Clock } from '../../../lib/util/index.js'
import { type AnyChannel, type MakeChannel, makeChannel, type Options } from './makers.js'
import type { Rec } from './model-types.js'

type Change = (channel: AnyChannel) => Partial<AnyChannel>

/** A right channel, some of whose methods are exchanged. */
function changed(change: Change): MakeChannel {
  return (setup, options) => {
    const channel = makeChannel(setup, options)
    const right = Object.fromEntries(
      (['read', 'tryRead', 'updateConfig', 'on', 'onData', 'write', 'close', 'counters', 'seal'] as const).map(
        (name) => {
          return [name, (channel[name] as (...given: unknown[]) => unknown).bind(channel)]
        },
      ),
    ) as unknown as AnyChannel
    return Object.assign(channel, change(right))
  }
}

/** Only items are wrong in it. */
function items(Mutant: new (options: Options) => ItemChannel<Rec>): MakeChannel {
  return (setup, options) =>
    setup.kind === 'bytes' ? makeChannel(setup, options) : (new Mutant(options) as unknown as AnyChannel)
}

/** Only bytes are wrong in it. */
function bytes(Mutant: new (options: Options) => ByteChannel): MakeChannel {
  return (setup, options) =>
    setup.kind === 'bytes' ? (new Mutant(options) as unknown as AnyChannel) : makeChannel(setup, options)
}

class LostWakeUp extends ItemChannel<Rec> {
  override seal(): boolean {
    return this.core.seal() !== null // Nobody is told.
  }
}

class PutBackLast extends ItemChannel<Rec> {
  override putBack(buffer: ItemBuffer<Rec>): void {
    buffer.sequence = this.stats().sequence
    super.putBack(buffer)
  }
}

class GivenTwice extends ByteChannel {
  protected override extract(...given: Parameters<ByteChannel['extract']>): Chunk {
    const chunk = super.extract(...given)
    const release = chunk.release.bind(chunk)
    chunk.release = () => {
      release()
      if (this.usedBytes >= 16) this.giveBack(16)
    }
    return chunk
  }
}

class GivenNever extends ByteChannel {
  protected override giveBack(chargeBytes: number): void {
    super.giveBack(chargeBytes === 1024 ? 1023 : chargeBytes)
  }
}

class Overtaken extends ItemChannel<Rec> {
  protected override tryAdmit(chargeBytes: number): boolean {
    return this.state === 'open' && this.budget.tryTake(chargeBytes, 1) // Looks at nobody who is on his way in.
  }
}

class OwnLate extends ByteChannel {
  override async writeAsync(payload: Uint8Array, options: WaitOptions = {}): Promise<boolean> {
    await null
    return super.writeAsync(payload, options) // The caller may have changed his bytes.
  }
}

/** A clock whose timers cannot be changed while settings are. */
class StubbornClock implements Clock {
  isStubborn = false
  readonly #clock: Clock
  constructor(clock: Clock) {
    this.#clock = clock
  }
  now = () => this.#clock.now()
  monotonicMs = () => this.#clock.monotonicMs()
  defer = (task: () => void) => this.#clock.defer(task)
  setTimer = (task: () => void, delayMs: number) => {
    if (this.isStubborn) return { cancel() {} }
    const timer = this.#clock.setTimer(task, delayMs)
    return { cancel: () => (this.isStubborn ? undefined : timer.cancel()) }
  }
}

const deadlineStays: MakeChannel = (setup, options) => {
  const clock = new StubbornClock(options.clock as Clock)
  const channel = makeChannel(setup, { ...options, clock })
  const update = channel.updateConfig.bind(channel)
  channel.updateConfig = (changes) => {
    clock.isStubborn = true
    try {
      return update(changes)
    } finally {
      clock.isStubborn = false
    }
  }
  return channel
}

/** Each with the defect in words. */
export const MUTANTS: Readonly<Record<string, MakeChannel>> = {
  'seal() wakes nobody': items(LostWakeUp),
  'a buffer that is put back leaves last': items(PutBackLast),
  'a lease is given back twice': bytes(GivenTwice),
  'a byte of a lease is never given back': bytes(GivenNever),
  'a write overtakes a writer that waits': items(Overtaken),
  'writeAsync copies too late': bytes(OwnLate),
  'the deadline is not re-armed by an update': deadlineStays,
  'a read that timed out takes its record nevertheless': changed((right) => ({
    read(options: WaitOptions = {}) {
      if (options.timeoutMs === undefined) return right.read(options)
      const { timeoutMs, ...rest } = options
      void right.read(rest).catch(() => {})
      return right.read({ ...rest, timeoutMs })
    },
  })),
  'what is dropped is not counted': changed((right) => ({
    counters: () => ({ ...right.counters(), droppedRecords: 0 }),
  })),
  'an empty payload is forgotten': changed((right) => ({
    write: (item) => (item instanceof Uint8Array && item.length === 0 ? true : right.write(item)),
  })),
  'bytes are not copied': (setup, options) => makeChannel(setup, { ...options, copyOnWrite: false }),
  'a callback gets its next record before its promise settled': changed((right) => ({
    onData: (callback) => right.onData((item) => void callback(item)),
  })),
  'drain is told twice': changed((right) => ({
    on: (name, listener) => {
      if (name === 'drain') right.on(name, (event) => listener(event)) // A listener of its own: the same one counts once.
      return right.on(name, listener)
    },
  })),
  'the composite rule waits for 0.86': (setup, options) =>
    makeChannel(setup, { ...options, threshold: (options.threshold ?? 0.85) + 0.01 }),
  'the window is 2 % too long': (setup, options) =>
    makeChannel(setup, { ...options, windowMs: (options.windowMs ?? 5000) * 1.02 }),
  'the soft limit is one percent higher': (setup, options) =>
    makeChannel(setup, {
      ...options,
      softPercent: Math.min(options.hardPercent ?? 95, (options.softPercent ?? 80) + 1),
    }),
  'an invalid update changes what came before the wrong field': changed((right) => ({
    updateConfig(changes) {
      const { windowMs, maxRecords } = changes
      if (windowMs !== undefined && windowMs < 0 && maxRecords !== undefined) right.updateConfig({ maxRecords })
      return right.updateConfig(changes)
    },
  })),
  'close without drain says that it delivered': changed((right) => ({
    close: (options = {}) => {
      const closed = right.close(options)
      return options.drain === false
        ? closed.then(({ undelivered }) => ({ delivered: undelivered, undelivered: 0 }))
        : closed
    },
  })),
}
