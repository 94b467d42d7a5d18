/** A process that enqueues one item, says what its sender was told, and dies of it: `<dir> <durability>`. */
import { BatchQueue, type QueueOptions } from '../../../lib/queue/index.js'

const [, , dir = '', durability = 'os'] = process.argv
const queue = new BatchQueue<string>({
  dir,
  durability: durability as NonNullable<QueueOptions<string>['durability']>,
  walMaxBytes: 8_388_608,
  batchMaxItems: 1,
  wal: { minFreeBytes: 1024 },
  send: async (_batch, { incarnationId, firstPosition }) => {
    process.stdout.write(`${incarnationId}:${firstPosition}\n`, () => process.kill(process.pid, 'SIGKILL'))
    await new Promise(() => {})
  },
})
await queue.start()
await queue.enqueue('the only one')
