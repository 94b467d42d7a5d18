/**
 * The lock of Windows: a named pipe, which one process can own and which goes with it.
 * Nobody ever connects to it: it is a mutex, and the only thing of node:net outside of lib/net (decision 20).
 * The name is made of the directory's real path, so that two spellings of it meet. Source: wal.md 2.2.
 */
import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import type { Release } from '../fs.js'
import { notHere, refused } from './system-errors.js'

export async function lockByPipe(path: string): Promise<Release> {
  if (process.platform !== 'win32') throw notHere('pipe', 'only Windows has named pipes that go with their owner')
  const directory = (await realpath(dirname(path))).toLowerCase()
  return listenAt(`\\\\.\\pipe\\tandem-mq-wal-${createHash('sha256').update(directory).digest('hex')}`, path)
}

function listenAt(name: string, path: string): Promise<Release> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'EADDRINUSE' ? refused(path) : error))
    server.once('listening', () => {
      server.unref()
      resolve(() => server.close())
    })
    server.listen(name)
  })
}
