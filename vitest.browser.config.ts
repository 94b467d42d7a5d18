/**
 * The gateway's pages in a real browser. Apart, because they need a Chromium (`CHROMIUM`, else `chromium` on the path); without
 * one they are skipped, visibly. `.ci/run` and `node scripts/run.mjs browser` run them.
 */
import { defineConfig } from 'vitest/config'
import base from './vitest.config.js'

export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/browser/**/*.test.ts'],
    exclude: ['node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
})
