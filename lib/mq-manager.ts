/**
 * Several named instances in one process: one per cluster, tenant or purpose.
 * Invariant: a name stands for one open instance; what is removed has been closed, and who closes all of them waits for
 * those that are being removed too. Source: features.md FA-5.
 */

import { closeEach, closeTimeout } from './closing.js'
import type { MQConfig } from './config/index.js'
import { MQError } from './errors/index.js'
import type { HealthReport } from './metrics/index.js'
import { MQ, type MQMetrics } from './mq.js'
import type { CloseReport } from './producer/index.js'

/** What `healthCheck` says of all instances. */
export interface ManagerHealth {
  readonly overall: boolean
  readonly instances: Readonly<Record<string, HealthReport>>
}

/**
 * Keeps instances by name.
 *
 * ```ts
 * const manager = new MQManager()
 * manager.createInstance('eu', { brokers: 'kafka-eu:9092' })
 * await manager.getInstance('eu')?.sendSync('orders', 'created')
 * await manager.closeAll()
 * ```
 */
export class MQManager {
  readonly #instances = new Map<string, MQ>()
  /** Without a name already, and not closed yet. */
  readonly #leaving = new Set<MQ>()

  /** A new instance. Throws INVALID_CONFIG for an empty or used name, and what `new MQ` throws. */
  createInstance(name: string, config: MQConfig = {}): MQ {
    if (typeof name !== 'string' || name === '') {
      throw new MQError('INVALID_CONFIG', `instance name: expected a text, got ${name === '' ? "''" : typeof name}`, {
        name: String(name),
      })
    }
    if (this.#instances.has(name)) {
      throw new MQError('INVALID_CONFIG', `an instance named '${name}' exists: remove it first, or take another name`, {
        name,
      })
    }
    const mq = new MQ(config)
    this.#instances.set(name, mq)
    return mq
  }

  /** Undefined: there is none of that name. */
  getInstance(name: string): MQ | undefined {
    return this.#instances.get(name)
  }

  /** Closes an instance and forgets it; false when there is none of that name. Rejects as `MQ.close`. */
  async removeInstance(name: string, options: { readonly timeoutMs?: number } = {}): Promise<boolean> {
    const mq = this.#instances.get(name)
    if (mq === undefined) return false
    closeTimeout(options?.timeoutMs, 0)
    this.#leave([name])
    await mq.close(options).finally(() => this.#leaving.delete(mq))
    return true
  }

  /** Names, in the order of their making. */
  listInstances(): readonly string[] {
    return [...this.#instances.keys()]
  }

  /** The health of each, asked in parallel; `overall` is true when all are healthy. */
  async healthCheck(): Promise<ManagerHealth> {
    const named = [...this.#instances]
    const reports = await Promise.all(named.map(([, mq]) => mq.health()))
    const instances = Object.fromEntries(named.map(([name], index) => [name, reports[index] as HealthReport]))
    return { overall: reports.every(({ overall }) => overall), instances }
  }

  /** `getMetrics()` of each, by name. */
  getStats(): Readonly<Record<string, MQMetrics>> {
    return Object.fromEntries([...this.#instances].map(([name, mq]) => [name, mq.getMetrics()]))
  }

  /**
   * Closes all of them side by side, and waits for those that are being closed already; the first error is thrown, the
   * others are in its `context.others`. Gives the number of records that could not be sent in time.
   */
  async closeAll(options: { readonly timeoutMs?: number } = {}): Promise<CloseReport> {
    closeTimeout(options?.timeoutMs, 0)
    this.#leave(this.listInstances())
    const all = [...this.#leaving]
    return closeEach([() => all], options?.timeoutMs).finally(() => {
      for (const mq of all) this.#leaving.delete(mq)
    })
  }

  /** The same as `closeAll`, so that `closeOnSignals` takes a manager too. */
  close(options: { readonly timeoutMs?: number } = {}): Promise<CloseReport> {
    return this.closeAll(options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeAll()
  }

  #leave(names: readonly string[]): void {
    for (const name of names) {
      this.#leaving.add(this.#instances.get(name) as MQ)
      this.#instances.delete(name)
    }
  }
}
