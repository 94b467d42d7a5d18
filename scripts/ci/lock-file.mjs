// The lock file names versions and checksums, never the address of somebody's registry.
import { readFileSync } from 'node:fs'

const text = readFileSync('package-lock.json', 'utf8')
const addresses = text.split('\n').filter((line) => /"resolved":\s*"https?:/.test(line))
if (addresses.length > 0) {
  console.error(`package-lock.json holds ${addresses.length} addresses: run node scripts/complete-lock.mjs`)
  process.exitCode = 1
}
