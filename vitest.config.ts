import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Minutes each: crashes, failing calls, full disks, killed processes. `vitest.faults.config.ts` runs them. */
export const FAULTS = [
  'test/chaos/**/*.test.ts',
  'test/consumer/group/{chaos,classic-storm,kill}.test.ts',
  'test/errors/kafka-numbers.test.ts',
  'test/net/server/loops/*.test.ts',
  'test/producer/{conservation.property,faults,lifecycle}.test.ts',
  'test/producer/log/live/**/*.test.ts',
  'test/queue/conservation.property.test.ts',
  'test/wal/crash/**/*.test.ts',
  'test/wal/lifecycle/**/*.test.ts',
  'test/wal/nth-error/**/*.test.ts',
  'test/wal/fs/locks.test.ts',
  'test/wal/open/{owners,real-faults}.test.ts',
  'test/wal/read/{damage,fuzz}.test.ts',
  'test/wal/write/{crash,faults}.test.ts',
]

const lib = (path: string) => fileURLToPath(new URL(`./lib/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^tandem-mq$/, replacement: lib('index.ts') },
      { find: /^tandem-mq\/gateway\/client$/, replacement: lib('gateway/browser/tandem-mq.js') },
      { find: /^tandem-mq\/(.*)$/, replacement: lib('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/browser/**', 'test/integration/**', 'node_modules/**', ...FAULTS],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    dangerouslyIgnoreUnhandledErrors: false,
    pool: 'forks',
    // Most tests wait for sockets: on two cores one worker leaves half of the machine idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
})
