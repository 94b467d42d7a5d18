/**
 * The long tests: crashes by the thousand, each call failing, real disks that are full, processes that are killed, outages at
 * random. Apart, so that `npm test` stays a matter of minutes; `.ci/run` and `node scripts/run.mjs faults` run them.
 */
import { defineConfig } from 'vitest/config'
import base, { FAULTS } from './vitest.config.js'

export default defineConfig({
  ...base,
  test: { ...base.test, include: FAULTS, exclude: ['node_modules/**'], testTimeout: 300_000, hookTimeout: 60_000 },
})
