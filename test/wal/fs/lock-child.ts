/** A process that takes a lock and keeps it: `lock-child.ts <path of LOCK> <method>`; tells the outcome, then stays. */
import { type LockMethod, nodeWalFs } from '../../../lib/wal/index.js'

const [path = '', method = 'flock'] = process.argv.slice(2)
nodeWalFs.lock(path, method as LockMethod, (error, release) => {
  process.send?.(error === null ? 'locked' : (error.code ?? String(error)))
  process.on('message', (word) => {
    if (word === 'release') release?.()
    process.send?.('released')
  })
})
process.on('disconnect', () => process.exit(0))
