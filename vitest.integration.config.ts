import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const lib = (path: string) => fileURLToPath(new URL(`./lib/${path}`, import.meta.url))

/** Tests against a real Kafka: one warm cluster for all files, one file at a time, a fresh topic per test. */
export default defineConfig({
  resolve: {
    alias: [
      { find: /^tandem-mq$/, replacement: lib('index.ts') },
      { find: /^tandem-mq\/(.*)$/, replacement: lib('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/integration/**/*.test.ts'],
    globalSetup: ['test/support/interop-setup.ts'],
    testTimeout: 90_000,
    hookTimeout: 90_000,
    fileParallelism: false,
    // Foreign tools and a real broker stall now and then; what fails twice is ours. A retried test is shown as such.
    retry: 1,
    dangerouslyIgnoreUnhandledErrors: false,
    pool: 'forks',
  },
})
