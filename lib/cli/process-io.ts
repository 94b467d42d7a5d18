/**
 * The streams and signals of this process, as the commands see them.
 * Invariant: a reader that has gone (EPIPE) ends the run quietly; the first SIGINT or SIGTERM asks it to finish, the
 * second ends the process at once.
 */
import { constants } from 'node:os'
import type { CliIo, Sink } from './io.js'

export function processIo(): CliIo {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(128 + constants.signals[name])
      stop.abort(name)
    })
  }
  return {
    stdin: process.stdin,
    stdout: sinkOf(process.stdout, () => stop.abort('EPIPE')),
    stderr: sinkOf(process.stderr, () => {}),
    env: process.env,
    signal: stop.signal,
  }
}

function sinkOf(stream: NodeJS.WriteStream, onGone: () => void): Sink {
  let isGone = false
  stream.on('error', () => {
    isGone = true
    onGone()
  })
  return {
    isTty: stream.isTTY === true,
    write: (bytes) =>
      new Promise((resolve) => {
        if (isGone) return resolve()
        if (stream.write(bytes)) return resolve()
        const end = () => {
          stream.off('drain', end)
          stream.off('error', end)
          resolve()
        }
        stream.once('drain', end)
        stream.once('error', end)
      }),
  }
}
