/** Suite D of wal.md 6.2, as many as every change can afford; `fuzz-main.ts` is the long run. */
import { expect, it } from 'vitest'
import { fuzz } from './fuzz.js'

const COUNT = Number(process.env.TANDEM_FUZZ ?? 20_000)

it(`suite D: ${COUNT} mutated segments, no crash, hang, invented or silently lost record`, async () => {
  const seed = Number(process.env.TANDEM_FUZZ_SEED ?? 20_260_501)
  const { mutated, failures } = await fuzz(COUNT, seed)
  expect(failures, `seed ${seed}`).toEqual([])
  expect(mutated).toBe(COUNT)
}, 600_000)
