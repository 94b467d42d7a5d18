/**
 * One gateway, its subscribers and a publisher, each in processes of their own; stages at several rates over the same
 * connections. Invariant: all processes are gone when a run settles, also when it failed.
 */
import type { ChildProcess } from 'node:child_process'
import { ask, gone, start } from './child.js'
import type {
  GatewayCase,
  GatewayFigures,
  GatewayStarted,
  Heard,
  PublishDone,
  SourceStarted,
  ToClients,
  ToGateway,
  ToSource,
} from './gateway-job.js'

export interface GatewayStage {
  readonly perSecond: number
  readonly milliseconds: number
}

export interface GatewayRun {
  readonly what: GatewayCase
  /** Null: the in-process broker. */
  readonly brokers: readonly string[] | null
  readonly clients: number
  /** Of the clients, those that do not read. */
  readonly silent: number
  /** One or two. */
  readonly clientProcesses: number
  readonly cacheBytes: number
  readonly writeBufferBytes: number
}

export interface StageResult extends GatewayStage {
  readonly published: number
  readonly delivered: number
  readonly deliveredPerSecond: number
  readonly lost: number
  readonly again: number
  readonly dropped: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** From the last publish to the last arrival. */
  readonly drainMs: number
  /** The publisher needed so much longer than planned. */
  readonly publishLateMs: number
  readonly cpuUsPerDelivery: number
  /** Share of one core. */
  readonly cpuShare: number
  /** Of the subscribers together: near the number of their processes, it is they who are slow. */
  readonly clientsCpuShare: number
  readonly rssMib: number
  readonly peakRssMib: number
  readonly troubles: readonly string[]
}

const MIB = 1024 * 1024
const SAMPLES = 20_000
/** Nothing arrived for so long: what is missing then is lost. */
const SILENT_MS = 5_000

export class GatewayBench {
  readonly #run: GatewayRun
  readonly #source = start('gateway-source')
  readonly #gateway = start('gateway-server')
  readonly #readers: readonly ChildProcess[]

  constructor(run: GatewayRun) {
    this.#run = run
    this.#readers = Array.from({ length: run.clientProcesses }, () => start('gateway-client'))
  }

  async open(): Promise<void> {
    const { what, cacheBytes, writeBufferBytes, clients, silent } = this.#run
    const { brokers } = await this.#askSource<SourceStarted>({ kind: 'start', brokers: this.#run.brokers, what })
    const { port } = await this.#askGateway<GatewayStarted>({
      kind: 'start',
      brokers,
      wire: what.wire,
      cacheBytes,
      writeBufferBytes,
    })
    const shares = sharesOf(clients, this.#readers.length)
    await Promise.all(
      this.#readers.map((reader, index) =>
        askClients(reader, {
          kind: 'connect',
          port,
          clients: shares[index] as number,
          silent: index === 0 ? silent : 0,
          what,
        }),
      ),
    )
  }

  async stage({ perSecond, milliseconds }: GatewayStage): Promise<StageResult> {
    const { clients } = this.#run
    const sampleEvery = Math.max(1, Math.ceil((clients * perSecond * milliseconds) / 1000 / SAMPLES))
    await Promise.all(this.#readers.map((reader) => askClients(reader, { kind: 'begin', sampleEvery })))
    const before = await this.#askGateway<GatewayFigures>({ kind: 'begin' })
    const done = await this.#publish({ perSecond, milliseconds })
    const heard = await this.#until(done.ends)
    const after = await this.#askGateway<GatewayFigures>({ kind: 'figures' })
    const seconds = (heard.lastUs - done.firstUs) / 1e6
    const samples = [...heard.samples].sort((one, other) => one - other)
    const cpuUs = after.cpuMicroseconds - before.cpuMicroseconds
    return {
      perSecond,
      milliseconds,
      published: done.published,
      delivered: heard.delivered,
      deliveredPerSecond: heard.delivered / seconds,
      lost: heard.lost,
      again: heard.again,
      dropped: after.dropped,
      p50Ms: quantile(samples, 0.5),
      p99Ms: quantile(samples, 0.99),
      drainMs: Math.max(0, heard.lastUs - done.lastUs) / 1000,
      publishLateMs: Math.max(0, (done.lastUs - done.firstUs) / 1000 - milliseconds),
      cpuUsPerDelivery: cpuUs / Math.max(1, heard.delivered),
      cpuShare: cpuUs / 1e6 / seconds,
      clientsCpuShare: heard.cpuMicroseconds / 1e6 / seconds,
      rssMib: after.rssBytes / MIB,
      peakRssMib: after.peakRssBytes / MIB,
      troubles: [...after.troubles, ...heard.troubles],
    }
  }

  /** Those that did not read begin to, and get everything there is. */
  async readAll(ends: readonly number[]): Promise<Heard> {
    await Promise.all(this.#readers.map((reader) => askClients(reader, { kind: 'read' })))
    return this.#until(ends)
  }

  /** Gives where the partitions end after `published` records in all. */
  endsAfter(published: number): number[] {
    const { partitions } = this.#run.what
    return Array.from({ length: partitions }, (_, partition) => Math.ceil((published - partition) / partitions))
  }

  async figures(): Promise<GatewayFigures> {
    return this.#askGateway<GatewayFigures>({ kind: 'figures' })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers, this.#gateway, this.#source].map(gone))
  }

  #publish(stage: GatewayStage): Promise<PublishDone> {
    return ask<PublishDone>(
      this.#source,
      { kind: 'publish', ...stage } satisfies ToSource,
      10 * stage.milliseconds + 60_000,
    )
  }

  /** Of all client processes together. */
  async #until(ends: readonly number[]): Promise<Heard> {
    const all = await Promise.all(
      this.#readers.map((reader) => askClients<Heard>(reader, { kind: 'until', ends, silentMs: SILENT_MS })),
    )
    const sum = (of: (heard: Heard) => number) => all.reduce((total, heard) => total + of(heard), 0)
    return {
      delivered: sum(({ delivered }) => delivered),
      lost: sum(({ lost }) => lost),
      again: sum(({ again }) => again),
      troubles: all.flatMap(({ troubles }) => troubles),
      samples: all.flatMap(({ samples }) => samples),
      lastUs: Math.max(...all.map(({ lastUs }) => lastUs)),
      cpuMicroseconds: sum(({ cpuMicroseconds }) => cpuMicroseconds),
    }
  }

  #askSource<T>(question: ToSource): Promise<T> {
    return ask<T>(this.#source, question)
  }

  #askGateway<T>(question: ToGateway): Promise<T> {
    return ask<T>(this.#gateway, question)
  }
}

/** Waiting for the last records of a slow machine is no silence: the clients have a limit of their own. */
const CLIENTS_MS = 300_000

function askClients<T>(reader: ChildProcess, question: ToClients): Promise<T> {
  return ask<T>(reader, question, CLIENTS_MS)
}

export function sharesOf(clients: number, processes: number): number[] {
  return Array.from({ length: processes }, (_, index) => Math.floor((clients + index) / processes))
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
