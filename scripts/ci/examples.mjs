/**
 * Runs every example, each in a process of its own; each checks what it shows and exits with 1 when it does not hold.
 *   node scripts/ci/examples.mjs            on brokers inside the examples
 *   KAFKA_BROKERS=host:port node scripts/ci/examples.mjs   on a real Kafka
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url))
const TSX = fileURLToPath(new URL('../../node_modules/tsx/dist/cli.mjs', import.meta.url))
/** What the others share, and the demo, which has a step of its own. */
const NOT_RUN = ['demo.ts', 'demo-records.ts', 'example.ts', 'web-socket-client.ts']
const LIMIT_MS = 120_000

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.ts') && !NOT_RUN.includes(name))
const kafka = process.env.KAFKA_BROKERS ? ['--brokers', process.env.KAFKA_BROKERS] : []
const runs = [...files.map((file) => [file]), ['chat/main.ts', '--every', '5', ...kafka]]
let failed = 0
for (const [file, ...args] of runs) {
  const began = Date.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, [TSX, FOLDER + file, ...args], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
  })
  const isGood = status === 0 && stdout.includes('  ok   ')
  console.log(`${isGood ? 'ok    ' : 'FAILED'} ${file} (${((Date.now() - began) / 1000).toFixed(1)} s)`)
  if (isGood) continue
  failed++
  console.log(`${stdout}\n${stderr}\nexit code ${status ?? 'none: it took too long'}`)
}
process.exit(failed === 0 ? 0 : 1)
