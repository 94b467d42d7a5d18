/**
 * Callbacks of a run: some keep their chunk, some give a promise that is settled by a later step, some throw, some write or leave.
 */
import { type CallbackModel, check, ModelError } from './model-types.js'
import { operations } from './operations.js'
import type { Held, Player } from './player.js'

interface Subscription {
  readonly model: CallbackModel
  off: () => void
}

/** A callback whose promise is open. */
interface Running {
  readonly model: CallbackModel
  readonly held: Held | null
  finish(): void
  fail(): void
}

export class Subscriptions {
  readonly #player: Player
  readonly all: Subscription[] = []
  readonly running: Running[] = []
  calls = 0
  #ids = 0

  constructor(player: Player) {
    this.#player = player
  }

  add(): void {
    const { model, channel } = this.#player
    const callback: CallbackModel = { id: ++this.#ids, isRunning: false }
    const subscription: Subscription = { model: callback, off: () => {} }
    const off = channel.onData((item) => this.#called(subscription, item))
    subscription.off = () => {
      off()
      model.removeCallback(callback)
    }
    if (model.state !== 'closed') model.callbacks.push(callback)
    this.all.push(subscription)
  }

  /** Settles a promise that a callback gave. */
  settle(at: number, isFailing: boolean): void {
    const [one] = this.running.splice(at, 1) as [Running]
    const { model } = this.#player
    if (one.held !== null) this.#player.release(one.held)
    if (isFailing) model.errorEvents++
    model.callbackDone(one.model)
    if (isFailing) one.fail()
    else one.finish()
  }

  #called(subscription: Subscription, item: unknown): unknown {
    const player = this.#player
    this.calls++
    try {
      check(!player.isInCall, () => 'a callback ran inside a call')
      player.observe()
      const { model } = subscription
      check(!model.isRunning, () => `callback ${model.id} was called before its promise had settled`)
      const record = player.model.callbackTook(model)
      const held = player.received(item, record)
      player.tell(() => `  callback ${model.id} gets ${record.n}`)
      return this.#behave(subscription, held)
    } catch (error) {
      if (error instanceof ModelError) player.failure ??= error
      throw error
    }
  }

  #behave(subscription: Subscription, held: Held | null): unknown {
    const player = this.#player
    const roll = player.random.next()
    if (roll < 0.35) return this.#wait(subscription.model, held)
    if (roll < 0.5 && held !== null) player.release(held)
    if (roll < 0.6) return undefined
    if (roll < 0.75) return void operations.write(player, Math.floor(roll * 1e9), 0)
    if (roll < 0.8) return subscription.off()
    if (roll < 0.9) return undefined
    // The channel lets the chunk go.
    if (held !== null) player.released(held)
    player.model.errorEvents++
    throw new Error('a callback that throws')
  }

  #wait(model: CallbackModel, held: Held | null): Promise<void> {
    model.isRunning = true
    this.#player.model.running++
    return new Promise((resolve, reject) => {
      this.running.push({ model, held, finish: resolve, fail: () => reject(new Error('a callback that fails late')) })
    })
  }
}
