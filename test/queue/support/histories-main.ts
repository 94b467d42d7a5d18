/**
 * Histories as a program: `node --import tsx test/queue/support/histories-main.ts <first seed> <count>`. Exit 1 with the
 * story of the first that fails.
 * Why a program of its own: under the test runner an await costs three times as much, and these are made of awaits.
 */
import { History } from './history.js'

const first = Number(process.argv[2])
const count = Number(process.argv[3])
Error.stackTraceLimit = 0 // Thousands of refusals: nobody looks at their stacks.

for (let seed = first; seed < first + count; seed++) {
  const history = new History(seed)
  try {
    await history.run()
  } catch (error) {
    console.log(`seed ${seed}: ${String(error)}\n${history.log.join('\n')}`)
    console.log(`replay: node --import tsx test/queue/support/histories-main.ts ${seed} 1`)
    process.exit(1)
  }
}
console.log(`${count} histories from seed ${first}`)
