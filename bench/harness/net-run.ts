/**
 * One run: a server process and a client process, each on a core of its own where the system lets us say so.
 * Invariant: both processes are gone when the run settles, also when it failed.
 */
import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { gone, next, pin, start } from './child.js'
import type { ClientJob, Echo, FromClient, Reaped, ServerFigures, ServerJob } from './net-job.js'

export interface NetCase {
  readonly echo: Echo
  readonly connections: number
  readonly messageBytes: number
  /** Each echo, not only the first of each connection. */
  readonly comparesAll: boolean
  readonly warmupMs: number
  readonly measureMs: number
}

export interface NetMeasurement {
  readonly messages: number
  readonly messagesPerSecond: number
  /** Payload in one direction. */
  readonly mibPerSecond: number
  /** Of the server. */
  readonly cpuUsPerMessage: number
  readonly rssMib: number
}

export interface ReapingMeasurement extends Reaped {
  readonly idleMs: number
  /** Open at the same time. */
  readonly open: number
  /** Open still. */
  readonly left: number
}

const MIB = 1024 * 1024
/** Beyond its idle time a server that closes nothing is not waited for longer. */
const SETTLE_MS = 30_000
const ACCEPT_MS = 5_000
const LOOK_MS = 20

export async function measureEcho(what: NetCase): Promise<NetMeasurement> {
  const { echo, ...rest } = what
  const wire = echo === 'websocket' ? 'websocket' : 'length'
  return withBoth({ echo, idleMs: 0 }, { ...rest, wire, fallsSilent: false }, async (server, client) => {
    await next<FromClient>(client)
    const before = await figuresOf(server)
    const end = await next<FromClient>(client)
    const after = await figuresOf(server)
    if (end.kind !== 'end' || end.wrong > 0 || end.messages === 0)
      throw new Error(`not an echo: ${JSON.stringify(end)}`)
    const messagesPerSecond = end.messages / (end.nanoseconds / 1e9)
    return {
      messages: end.messages,
      messagesPerSecond,
      mibPerSecond: (messagesPerSecond * what.messageBytes) / MIB,
      cpuUsPerMessage: (after.cpuMicroseconds - before.cpuMicroseconds) / end.messages,
      rssMib: after.rssBytes / MIB,
    }
  })
}

const SILENT = {
  wire: 'length',
  messageBytes: 0,
  comparesAll: false,
  fallsSilent: false,
  warmupMs: 0,
  measureMs: 0,
} as const

/** Memory of a server of ours whose connections say nothing. */
export async function measureIdle(connections: number): Promise<ServerFigures> {
  const silent = { ...SILENT, connections }
  return withBoth({ echo: 'tandem', idleMs: 600_000 }, silent, async (server, client) => {
    await next<FromClient>(client)
    return whenOpen(server, connections)
  })
}

/**
 * When a server of ours closes connections that fell silent: all are open, each says one message, and all are due within
 * the time that these messages took. Told: the figures when all were open, and what was closed at the end.
 */
export async function measureReaping(connections: number, idleMs: number): Promise<ReapingMeasurement> {
  const silent = { ...SILENT, connections, fallsSilent: true }
  return withBoth({ echo: 'tandem', idleMs }, silent, async (server, client) => {
    await next<FromClient>(client)
    const [open, end] = await Promise.all([whenOpen(server, connections), next<FromClient>(client, idleMs + SETTLE_MS)])
    const { reaped, connections: left } = await figuresOf(server)
    if (end.kind !== 'closed') throw new Error(`expected the end of all connections, got ${JSON.stringify(end)}`)
    return { idleMs, open: open.connections, left, ...reaped }
  })
}

async function withBoth<T>(
  job: ServerJob,
  what: Omit<ClientJob, 'port'>,
  measure: (server: ChildProcess, client: ChildProcess) => Promise<T>,
): Promise<T> {
  const server = start('net-server')
  const client = start('net-client')
  try {
    pin(server, 0)
    pin(client, 1)
    server.send({ kind: 'start', job })
    const { port } = await next<{ port: number }>(server)
    client.send({ ...what, port } satisfies ClientJob)
    return await measure(server, client)
  } finally {
    await Promise.all([gone(client), gone(server)])
  }
}

/** A client is connected before the server has accepted it. Figures when all are, or what there is after `ACCEPT_MS`. */
async function whenOpen(server: ChildProcess, connections: number): Promise<ServerFigures> {
  const untilMs = Date.now() + ACCEPT_MS
  for (;;) {
    const figures = await figuresOf(server)
    if (figures.connections >= connections || Date.now() > untilMs) return figures
    await sleep(LOOK_MS)
  }
}

async function figuresOf(server: ChildProcess): Promise<ServerFigures> {
  server.send({ kind: 'figures' })
  return next<ServerFigures>(server)
}
