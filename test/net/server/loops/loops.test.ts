/** Loop processes: balance, figures, TLS, death and rebirth, an end that leaves no process. NT-2, trap 22. */
import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { leastConnection, Server, type ServerOptions } from '../../../../lib/net/index.js'
import { makeAuthority } from '../../../support/certificates.js'
import { atEnd, Client, client, started, turn } from '../support.js'
import { protocol } from './echo-handler.js'

const module = (name: string) => new URL(`./${name}.ts`, import.meta.url)
const unused = { onMessage: () => 'not in this process' }
type Options = ServerOptions<undefined, string, string>

const loops = (options: Options = {}) => {
  const source = { handlerModule: module('echo-handler'), loopArguments: ['--import', 'tsx'] }
  const server = new Server(unused, { address: '127.0.0.1:0', numLoops: 2, ...source, protocol, ...options })
  return started(server)
}

async function line(one: Client, text: string, answerBytes: number): Promise<string> {
  const before = one.received.length
  one.write(`${text}\n`)
  return (await one.text(before + answerBytes)).slice(before)
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await turn()
}

/** Pids of the loops that serve so many new connections, in order. */
async function served(port: number, count: number): Promise<{ clients: Client[]; pids: string[] }> {
  const clients: Client[] = []
  const pids: string[] = []
  for (let index = 0; index < count; index++) {
    const one = await client(port)
    one.write('pid\n')
    while (!one.received.includes(10)) await turn()
    pids.push(one.received.toString().trim())
    clients.push(one)
  }
  return { clients, pids }
}

describe('loop processes', () => {
  it('NT-2: 9 connections over 4 loops = 3, 2, 2, 2 in loop order; figures are summed; stop ends every process', async () => {
    const { server, port } = await loops({ numLoops: 4 })
    const { clients, pids } = await served(port, 9)
    const order = [...new Set(pids)]
    expect(order).toHaveLength(4)
    expect(pids).toEqual(Array.from({ length: 9 }, (_, index) => order[index % 4]))
    expect(server.connections).toBe(9)
    await line(clients[0] as Client, 'x'.repeat(100), 101)
    const bytes = 9 * 4 + 101
    await until(() => server.measures().bytesIn === bytes)
    expect(server.measures()).toMatchObject({ connections: 9, accepted: 9 })
    clients[3]?.socket.end()
    await until(() => server.connections === 8 && server.measures().connections === 8)

    await server.stop()
    for (const one of clients) expect(await one.ended).toBe('end')
    expect(pids.filter((pid) => isAlive(Number(pid)))).toEqual([])
    expect(server.measures()).toMatchObject({ connections: 0, accepted: 9, bytesIn: bytes })
  }, 30_000)

  it('NT-2: least connection counts what is on its way, and what has ended; maxConnections holds for all loops', async () => {
    const { server, port } = await loops({ loadBalance: leastConnection(), maxConnections: 5 })
    const { clients, pids } = await served(port, 4)
    const [first, second] = pids
    expect(pids).toEqual([first, second, first, second])
    clients[1]?.socket.end()
    clients[3]?.socket.end()
    await until(() => server.connections === 2)
    expect((await served(port, 2)).pids).toEqual([second, second])
    await served(port, 1)
    const refused = await client(port)
    await refused.closed
    expect(server.measures().rejected).toBe(1)
  }, 30_000)

  it('NT-2: a loop that dies is told of, its connections end, the others do not notice, and it is begun again', async () => {
    const { server, port, errors } = await loops()
    const { clients, pids } = await served(port, 4)
    const victim = clients[0] as Client
    victim.write('die\n')
    await Promise.all([victim.closed, clients[2]?.closed])
    await until(() => errors.length > 0)
    expect(errors[0]).toMatchObject({ code: 'CONNECTION_CLOSED', context: { loop: 0, connections: 2, why: 'SIGKILL' } })
    expect(await line(clients[1] as Client, 'still', 6)).toBe('still\n')
    expect(server.connections).toBe(2)
    // New connections go to the loop that lives, until there are two again.
    const seen = new Set<string>()
    for (let count = 0; !(seen.size === 2); count++) {
      expect(count).toBeLessThan(2000)
      const after = await served(port, 1)
      seen.add(after.pids[0] as string)
      after.clients[0]?.socket.destroy()
      await turn()
    }
    expect(seen.has(pids[1] as string)).toBe(true)
    expect(seen.has(pids[0] as string)).toBe(false)
    expect(server.measures().accepted).toBeGreaterThan(4)
  }, 30_000)

  it('NT-1: an error in a loop is an error of the server, with its loop', async () => {
    const { port, errors } = await loops()
    const one = await client(port)
    one.write('throw\n')
    await one.closed
    await until(() => errors.length > 0)
    expect(errors[0]).toMatchObject({ code: 'CONSUME_FAILED', context: { reason: 'CALLBACK', loop: 0 } })
    expect(errors[0]?.message).toContain('as it was told')
  }, 30_000)

  it('NT-2: TLS handshakes are made in the loops', async () => {
    const authority = await makeAuthority()
    const tls = await authority.issue({ hosts: ['127.0.0.1'] })
    const { port, server } = await loops({ tls })
    for (const text of ['one', 'two']) {
      const socket = connectTls({ port, host: '127.0.0.1', ca: authority.cert })
      await once(socket, 'secureConnect')
      expect(await line(new Client(socket), text, 4)).toBe(`${text}\n`)
    }
    expect(server.connections).toBe(2)
  }, 30_000)

  it('NT-2: a module that is no handler, or has no protocol, is refused and leaves no process', async () => {
    const start = (options: Options) => {
      const server = new Server(unused, {
        address: '127.0.0.1:0',
        numLoops: 2,
        loopArguments: ['--import', 'tsx'],
        ...options,
      })
      atEnd(() => server.stop())
      return server.start()
    }
    const refused = { code: 'INVALID_CONFIG', context: { path: 'handlerModule' } }
    await expect(start({ handlerModule: module('no-handler') })).rejects.toMatchObject(refused)
    await expect(start({ handlerModule: module('no-such-file') })).rejects.toMatchObject(refused)
  }, 30_000)

  it('NT-2: a balancer that names no loop is told of, and costs one connection', async () => {
    let next = 0
    const { port, errors } = await loops({ loadBalance: () => [7, 0][next++] as number })
    const lost = await client(port)
    await lost.closed
    expect(errors).toMatchObject([{ code: 'INVALID_CONFIG', context: { path: 'loadBalance' } }])
    await served(port, 1)
  }, 30_000)
})
