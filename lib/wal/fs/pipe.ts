/**
 * The lock of Windows: a named pipe, which one process can own and which goes with it.
 * Why not asked for by an import: sockets belong to lib/net; this is a mutex that nobody ever connects to, and it takes
 * nothing else of node:net.
 * The name is made of the directory's real path, so that two spellings of it meet. Source: wal.md 2.2.
 */
import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Release } from '../fs.js'
import { notHere, refused } from './system-errors.js'

interface PipeServer {
  listen(path: string): void
  once(event: string, listener: (error: NodeJS.ErrnoException) => void): void
  unref(): void
  close(): void
}

export async function lockByPipe(path: string): Promise<Release> {
  if (process.platform !== 'win32') throw notHere('pipe', 'only Windows has named pipes that go with their owner')
  const directory = (await realpath(dirname(path))).toLowerCase()
  return listenAt(`\\\\.\\pipe\\tandem-mq-wal-${createHash('sha256').update(directory).digest('hex')}`, path)
}

function listenAt(name: string, path: string): Promise<Release> {
  const { createServer } = process.getBuiltinModule('node:net')
  return new Promise((resolve, reject) => {
    const server: PipeServer = createServer((socket) => socket.destroy())
    server.once('error', (error) => reject(error.code === 'EADDRINUSE' ? refused(path) : error))
    server.once('listening', () => {
      server.unref()
      resolve(() => server.close())
    })
    server.listen(name)
  })
}
