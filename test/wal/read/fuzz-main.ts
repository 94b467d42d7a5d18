/** Suite D as a program: node --import tsx test/wal/read/fuzz-main.ts [count] [seed] */
import { fuzz } from './fuzz.js'

const count = Number(process.argv[2] ?? process.env.TANDEM_FUZZ ?? 1_000_000)
const seed = Number(process.argv[3] ?? process.env.TANDEM_FUZZ_SEED ?? Date.now() % 1_000_000_000)
const startedMs = performance.now()
const { mutated, failures } = await fuzz(count, seed)
for (const failure of failures) console.log(failure)
const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
console.log(`${mutated} mutated segments, ${failures.length} failures, seed ${seed}, ${seconds} s`)
process.exitCode = failures.length === 0 ? 0 : 1
