/**
 * Runs the Autobahn test suite against our WebSocket server: `node scripts/autobahn/run.mjs [case ...]`.
 * Why a cache: the suite is Python 2 and its own world; it is installed once, with pinned versions, outside the repository.
 * Compression (12.*, 13.*) is left out, because it is never negotiated. Needs python2.7 with pip, or AUTOBAHN_PYTHON; without
 * one it fails and says so: test/net/websocket/autobahn.test.ts holds cases 1 to 7 and 10 for machines without it.
 * `--probe` installs the suite and says by its exit code whether that is possible here. Ends within LIMIT_MS and leaves no process behind. Exit code 0 only when every case is OK, NON-STRICT or INFORMATIONAL.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const LIMIT_MS = 15 * 60_000
const INSTALL_MS = 5 * 60_000
const PACKAGES = [
  'autobahntestsuite==25.10.1',
  'autobahn==0.10.9',
  'Twisted==19.10.0',
  'zope.interface==4.6.0',
  'incremental==16.10.1',
  'txaio==2.1.0',
  'six==1.16.0',
  'jinja2==2.11.3',
  'markupsafe==1.1.1',
  'Werkzeug==1.0.1',
  'klein==17.10.0',
  'pyOpenSSL==19.1.0',
  'cryptography==3.3.2',
  'service_identity==18.1.0',
  'unittest2==1.1.0',
]
const COMPRESSION = ['12.*', '13.*']
/** Verdicts that are no failure: lenient where the RFC leaves it open, or a mere measurement. */
const ACCEPTED = ['OK', 'NON-STRICT', 'INFORMATIONAL']
const AGENT = 'tandem-mq'

const children = []
const atExit = []

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(`autobahn: ${error.message}`)
  process.exitCode = 1
} finally {
  for (const child of children) child.kill('SIGKILL')
  for (const clean of atExit) clean()
}

async function main(cases) {
  const python = pythonOf()
  const packages = install(python)
  if (cases[0] === '--probe') return 0
  const work = mkdtempSync(join(tmpdir(), 'autobahn-'))
  atExit.push(() => rmSync(work, { recursive: true, force: true }))
  const port = await startServer()
  writeFileSync(join(work, 'spec.json'), JSON.stringify(specOf(port, cases)))
  await examine(python, packages, work)
  return tell(JSON.parse(readFileSync(join(work, 'reports', 'index.json'), 'utf8'))[AGENT])
}

function pythonOf() {
  const asked = process.env.AUTOBAHN_PYTHON
  const pyenv = join(process.env.PYENV_ROOT ?? join(homedir(), '.pyenv'), 'versions', '2.7.18', 'bin', 'python2.7')
  const found = (asked ? [asked] : ['python2.7', pyenv]).find((name) => {
    const { status, stdout } = spawnSync(name, ['-c', 'import sys; print(sys.version_info[0])'], { encoding: 'utf8' })
    return status === 0 && stdout.trim() === '2'
  })
  if (found === undefined) throw new Error('the suite needs Python 2.7: install it, or name it in AUTOBAHN_PYTHON')
  return found
}

/** Folder with the suite; a half-finished installation never takes its name. */
function install(python) {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tandem-mq')
  const target = join(cache, 'autobahn-25.10.1')
  if (existsSync(target)) return target
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, 'autobahn-'))
  atExit.push(() => rmSync(fresh, { recursive: true, force: true }))
  console.log(`autobahn: installing into ${target}`)
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', fresh, ...PACKAGES]
  const { status, stderr, error } = spawnSync(python, args, { encoding: 'utf8', timeout: INSTALL_MS })
  if (status !== 0) throw new Error(`pip failed: ${error?.message ?? stderr.trim()}`)
  renameSync(fresh, target)
  return target
}

function specOf(port, cases) {
  return {
    outdir: 'reports',
    servers: [{ agent: AGENT, url: `ws://127.0.0.1:${port}` }],
    cases: cases.length > 0 ? cases : ['*'],
    'exclude-cases': COMPRESSION,
    'exclude-agent-cases': {},
  }
}

function startServer() {
  const script = fileURLToPath(new URL('echo-server.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  return new Promise((resolve, reject) => {
    child.stdout.once('data', (line) => resolve(Number(line)))
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the echo server ended with ${code}`)))
  })
}

function examine(python, packages, cwd) {
  const code = `import site; site.addsitedir(${JSON.stringify(packages)}); from autobahntestsuite.wstest import run; run()`
  const child = spawn(python, ['-c', code, '-m', 'fuzzingclient', '-s', 'spec.json'], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (bytes) => {
      said = (said + bytes).slice(-4000)
    })
  }
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`not done within ${LIMIT_MS} ms; its last words: ${said}`)),
      LIMIT_MS,
    )
    child.once('error', reject)
    child.once('exit', (status) => {
      clearTimeout(limit)
      if (status === 0) resolve()
      else reject(new Error(`wstest ended with ${status}: ${said}`))
    })
  })
}

function tell(results) {
  const verdicts = Object.entries(results ?? {}).flatMap(([id, { behavior, behaviorClose }]) => [
    { id, kind: 'behavior', verdict: behavior },
    { id, kind: 'close', verdict: behaviorClose },
  ])
  const failed = verdicts.filter(({ verdict }) => !ACCEPTED.includes(verdict))
  const lenient = verdicts.filter(({ verdict }) => verdict === 'NON-STRICT')
  for (const { id, kind, verdict } of [...failed, ...lenient]) console.log(`${id} ${kind}: ${verdict}`)
  const cases = Object.values(results ?? {})
  const ok = cases.filter(({ behavior }) => behavior === 'OK').length
  const informational = cases.filter(({ behavior }) => behavior === 'INFORMATIONAL').length
  const bad = new Set(failed.map(({ id }) => id)).size
  const soft = new Set(lenient.map(({ id }) => id)).size
  console.log(`${cases.length} cases: ${ok} ok, ${soft} non-strict, ${informational} informational, ${bad} failed`)
  return cases.length > 0 && bad === 0 ? 0 : 1
}
