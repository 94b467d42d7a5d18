/**
 * At least 1e5 random histories of a queue per run against a list: nothing vanishes, nothing is settled twice, order is
 * kept, and every call gets its answer. SEED and HISTORIES in the environment replay and extend.
 */
import { describe, expect, it } from 'vitest'
import { History } from './support/history.js'

const HISTORIES = Number(process.env.HISTORIES ?? 100_000)
const FIRST = Number(process.env.SEED ?? Date.now() % 1_000_000_000)

describe('conservation', () => {
  it(`QU-5: enqueued + recovered = sent + failed + dropped + pending, in ${HISTORIES} histories from seed ${FIRST}`, async () => {
    for (let seed = FIRST; seed < FIRST + HISTORIES; seed++) {
      const history = new History(seed)
      try {
        await history.run()
      } catch (error) {
        throw new Error(
          `seed ${seed}: ${String(error)}\n${history.log.join('\n')}\nreplay: SEED=${seed} HISTORIES=1 npx vitest run test/queue/conservation.property.test.ts`,
          { cause: error },
        )
      }
    }
    expect(HISTORIES).toBeGreaterThan(0)
  }, 300_000)
})
