/**
 * Runs one task of this repository and installs first what it needs, so that a fresh clone takes one command.
 * Why not an npm hook: `npm test` on a fresh clone must not fail with "vitest: not found", and must say what it waits for.
 * Invariant: dependencies are installed exactly when the lock file and what is installed differ; the task's exit code is ours.
 *   node scripts/run.mjs <task> [arguments of the task]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url))
const OLDEST_NODE = [20, 19]

/** Each task is a list of commands; the arguments given by the caller go to the last one. */
const TASKS = {
  bench: [['tsx', 'bench/produce.ts']],
  'bench-consume': [['tsx', 'bench/consume.ts']],
  browser: [['vitest', 'run', '-c', 'vitest.browser.config.ts']],
  build: [
    [process.execPath, 'scripts/lib/clean.mjs', 'dist'],
    ['tsc', '-p', 'tsconfig.build.json'],
    [process.execPath, 'scripts/lib/copy.mjs', 'lib/gateway/browser', 'dist/gateway/browser', '.html', '.css', '.svg'],
  ],
  check: [
    ['biome', 'check', '.'],
    ['tsc', '-p', 'tsconfig.json'],
    ['tsc', '-p', 'tsconfig.browser.json'],
  ],
  demo: [['tsx', 'examples/demo.ts']],
  faults: [['vitest', 'run', '-c', 'vitest.faults.config.ts']],
  integration: [['vitest', 'run', '-c', 'vitest.integration.config.ts']],
  test: [['vitest', 'run']],
}

process.exitCode = main(process.argv.slice(2))

function main([task, ...rest]) {
  const commands = TASKS[task]
  if (commands === undefined) {
    console.error(`run.mjs: expected a task (${Object.keys(TASKS).join(', ')}), got ${task ?? 'nothing'}`)
    return 2
  }
  if (!nodeIsRecent()) {
    console.error(`tandem-mq needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.version}`)
    return 1
  }
  const installed = isInstalled() ? 0 : install()
  if (installed !== 0) return installed
  return runAll(commands, rest)
}

function nodeIsRecent() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
}

/** Compares contents, not file times: a checkout or a copied folder gives files new times. */
function isInstalled() {
  const wanted = packagesIn('package-lock.json')
  const present = packagesIn(join('node_modules', '.package-lock.json'))
  if (wanted === undefined || present === undefined) return false
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = present[path]
    // Optional packages of other platforms are never there.
    return found === undefined ? entry.optional === true || entry.devOptional === true : found.version === entry.version
  })
}

function packagesIn(file) {
  const path = join(REPOSITORY, file)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined
}

function install() {
  console.error('installing dependencies (npm ci), this happens once per lock file ...')
  const startedMs = Date.now()
  const status = npm(['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  if (status !== 0) {
    console.error(`npm ci failed with exit code ${status}: it needs the package registry, or a filled npm cache`)
    return status
  }
  console.error(`installed in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`)
  return 0
}

/** The npm that called us, else the one on the path. */
function npm(args) {
  const caller = process.env.npm_execpath
  return caller?.endsWith('.js') ? run(process.execPath, [caller, ...args]) : run('npm', args)
}

function runAll(commands, rest) {
  for (const [index, [program, ...args]] of commands.entries()) {
    const status = run(program, index === commands.length - 1 ? [...args, ...rest] : args)
    if (status !== 0) return status
  }
  return 0
}

function run(program, args) {
  const local = join(REPOSITORY, 'node_modules', '.bin', program)
  const answer = spawnSync(existsSync(local) ? local : program, args, {
    cwd: REPOSITORY,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (answer.error) {
    console.error(`${program} could not be run: ${answer.error.message}`)
    return 1
  }
  return answer.status ?? 1
}
