/**
 * Installs the other clients of the benchmarks into bench/peers, apart from our own dependencies.
 * Why apart: they need other Node versions than we do, and nobody who uses or tests tandem-mq should have to fetch them.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../bench/peers', import.meta.url))
const answer = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'], {
  cwd: FOLDER,
  stdio: 'inherit',
  shell: process.platform === 'win32',
})
if (answer.status !== 0) {
  console.error('the peers could not be installed: benchmarks run without them, with --clients tandem,kafkajs')
  process.exitCode = 1
}
