/** A queue with the real log in a directory of its own, which goes with the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { BatchQueue, type QueueOptions } from '../../../lib/queue/index.js'
import { silentLogger } from '../../../lib/util/index.js'

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'tandem-queue-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export function realQueue<T>(dir: string, options: Omit<QueueOptions<T>, 'dir'>): BatchQueue<T> {
  const queue = new BatchQueue<T>(
    {
      durability: 'os',
      walMaxBytes: 8_388_608,
      lingerMs: 5,
      retryBaseMs: 1,
      retryMaxMs: 20,
      wal: { minFreeBytes: 1024 },
      ...options,
      dir,
    },
    { logger: silentLogger },
  )
  onTestFinished(() => queue.close({ timeoutMs: 0 }).then(() => {}))
  return queue
}
