/** "Nothing is created per record" is a claim about allocation, so it is counted (style 5). */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const child = fileURLToPath(new URL('allocation-child.ts', import.meta.url))

it('PR-2, P-48: sendAsync without a callback creates nothing per record, with key and headers neither', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child])
  const { plainBytes, fullBytes, pending } = JSON.parse(stdout) as Record<string, number>
  expect(pending, 'records that were really accepted').toBe(600_000)
  // What remains are batches, timers and readings of the clock: a few bytes for each of thousands of records. The
  // smallest object an engine makes takes 12 B.
  expect(plainBytes).toBeLessThan(6)
  expect(fullBytes).toBeLessThan(6)
}, 60_000)
