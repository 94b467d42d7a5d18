/**
 * A small typed event emitter.
 * Why not node:events: a listener that throws must hurt neither us nor the next listener (trap 25), and an 'error'
 * event without listener must not end the process.
 */
type Listener<T> = (event: T) => void

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>()
  readonly #onListenerError: (error: unknown, event: unknown) => void

  /** `onListenerError` is told what a listener threw, and the event that it was told. */
  constructor(onListenerError: (error: unknown, event: unknown) => void = () => {}) {
    this.#onListenerError = onListenerError
  }

  on<K extends keyof Events>(name: K, listener: Listener<Events[K]>): () => void {
    let set = this.#listeners.get(name)
    if (set === undefined) {
      set = new Set()
      this.#listeners.set(name, set)
    }
    set.add(listener as Listener<never>)
    return () => {
      set.delete(listener as Listener<never>)
    }
  }

  once<K extends keyof Events>(name: K, listener: Listener<Events[K]>): () => void {
    const off = this.on(name, (event) => {
      off()
      listener(event)
    })
    return off
  }

  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0
  }

  /** As `emit`, and resolves when the promises that listeners gave back have settled. Never rejects. */
  async emitAndWait<K extends keyof Events>(name: K, event: Events[K]): Promise<void> {
    const calls = [...(this.#listeners.get(name) ?? [])].map(async (listener) => {
      try {
        await (listener as (event: Events[K]) => unknown)(event)
      } catch (error) {
        this.#onListenerError(error, event)
      }
    })
    await Promise.all(calls)
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    const set = this.#listeners.get(name)
    if (set === undefined) return
    for (const listener of [...set]) {
      try {
        const result = (listener as (event: Events[K]) => unknown)(event)
        // An async listener that fails throws later, and nobody else awaits it.
        if (result instanceof Promise) result.catch((error) => this.#onListenerError(error, event))
      } catch (error) {
        this.#onListenerError(error, event)
      }
    }
  }
}
