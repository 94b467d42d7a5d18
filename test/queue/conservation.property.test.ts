/**
 * At least 1e5 random histories of a queue per run against a list: nothing vanishes, nothing is settled twice, order is
 * kept, and every call gets its answer. SEED and HISTORIES in the environment replay and extend.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { History } from './support/history.js'

const HISTORIES = Number(process.env.HISTORIES ?? 100_000)
const FIRST = Number(process.env.SEED ?? Date.now() % 1_000_000_000)
const PROCESSES = 2
const PROGRAM = fileURLToPath(new URL('support/histories-main.ts', import.meta.url))
const run = promisify(execFile)

/** What it printed; of one that failed the story is in the error. */
async function histories(first: number, count: number): Promise<string> {
  const args = ['--import', 'tsx', PROGRAM, String(first), String(count)]
  const { stdout } = await run(process.execPath, args).catch((error: { stdout?: string; message: string }) => {
    throw new Error(error.stdout || error.message)
  })
  return stdout.trim()
}

describe('conservation', () => {
  it(`QU-5: enqueued + recovered = sent + failed + dropped + pending, in ${HISTORIES} histories from seed ${FIRST}`, async () => {
    const share = Math.ceil(HISTORIES / PROCESSES)
    const seeds = Array.from({ length: PROCESSES }, (_, index) => FIRST + index * share)
    const said = await Promise.all(seeds.map((first) => histories(first, share)))
    expect(said).toEqual(seeds.map((first) => `${share} histories from seed ${first}`))
  }, 300_000)

  it('QU-5: seeds that once failed', async () => {
    for (const seed of [3, 11_101]) await new History(seed).run()
  })
})
