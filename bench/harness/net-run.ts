/**
 * One run: a server process and a client process, each on a core of its own where the system lets us say so.
 * Invariant: both processes are gone when the run settles, also when it failed.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { compiledWorker } from './compiled.js'
import type { ClientJob, Echo, FromClient, ServerFigures, ServerJob } from './net-job.js'

export interface NetCase {
  readonly echo: Echo
  readonly connections: number
  readonly messageBytes: number
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

const MIB = 1024 * 1024
/** A run that says nothing for so long is ended. */
const SILENT_MS = 60_000

export async function measureEcho(what: NetCase): Promise<NetMeasurement> {
  return withBoth({ echo: what.echo, idleMs: 0 }, what, async (server, client) => {
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

/** Memory of a server of ours whose connections say nothing. */
export async function measureIdle(connections: number): Promise<ServerFigures> {
  const silent = { connections, messageBytes: 0, warmupMs: 0, measureMs: 0 }
  return withBoth({ echo: 'tandem', idleMs: 600_000 }, silent, async (server, client) => {
    await next<FromClient>(client)
    return figuresOf(server)
  })
}

async function withBoth<T>(
  job: ServerJob,
  what: Omit<ClientJob, 'port'>,
  measure: (server: ChildProcess, client: ChildProcess) => Promise<T>,
): Promise<T> {
  const server = fork(compiledWorker('net-server'), [], { execArgv: [] })
  const client = fork(compiledWorker('net-client'), [], { execArgv: [] })
  try {
    pin(server, 0)
    pin(client, 1)
    server.send({ kind: 'start', job })
    const { port } = await next<{ port: number }>(server)
    const { connections, messageBytes, warmupMs, measureMs } = what
    client.send({ port, connections, messageBytes, warmupMs, measureMs } satisfies ClientJob)
    return await measure(server, client)
  } finally {
    await Promise.all([gone(client), gone(server)])
  }
}

async function figuresOf(server: ChildProcess): Promise<ServerFigures> {
  server.send({ kind: 'figures' })
  return next<ServerFigures>(server)
}

function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`a process said nothing for ${SILENT_MS} ms`)), SILENT_MS)
    const settle = (act: () => void) => {
      clearTimeout(limit)
      child.off('message', onMessage)
      child.off('exit', onExit)
      act()
    }
    const onMessage = (message: unknown) => settle(() => resolve(message as T))
    const onExit = (code: number | null) => settle(() => reject(new Error(`a process ended with ${code}`)))
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}

async function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** Linux only; elsewhere the system places them. */
function pin(child: ChildProcess, core: number): void {
  if (process.platform !== 'linux' || child.pid === undefined) return
  try {
    execFileSync('taskset', ['-a', '-p', '-c', String(core), String(child.pid)], { stdio: 'ignore' })
  } catch {
    // No taskset, or one core only: the run is as good as the system makes it, and the table says what is compared.
  }
}
