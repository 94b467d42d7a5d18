import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const lib = (path: string) => fileURLToPath(new URL(`./lib/${path}`, import.meta.url))

/** `TANDEM_SUITE`: half of the files, for two runs side by side with a Kafka each. */
const GROUPS = ['test/integration/*group*.test.ts', 'test/integration/{offsets,three-nodes-consumer}.test.ts']
const ALL = ['test/integration/**/*.test.ts']
const suite = process.env.TANDEM_SUITE ?? 'all'

/** Tests against a real Kafka: one warm cluster for all files, one file at a time, a fresh topic per test. */
export default defineConfig({
  resolve: {
    alias: [
      { find: /^tandem-mq$/, replacement: lib('index.ts') },
      { find: /^tandem-mq\/(.*)$/, replacement: lib('$1/index.ts') },
    ],
  },
  test: {
    include: suite === 'groups' ? GROUPS : ALL,
    exclude: suite === 'others' ? GROUPS : [],
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
