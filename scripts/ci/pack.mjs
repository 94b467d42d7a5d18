/**
 * Builds and packs the package, installs the tarball into a project of its own, and uses it from there.
 * Why: `exports`, `files` and the type declarations are wrong in ways that no test inside the repository can see.
 *   node scripts/ci/pack.mjs <work folder>
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Subpath and one name that it must export. */
const ENTRIES = {
  'tandem-mq': 'Producer',
  'tandem-mq/broker': 'createBroker',
  'tandem-mq/channel': 'DoubleBufferChannel',
  'tandem-mq/gateway': 'Gateway',
  'tandem-mq/gateway/client': 'connect',
  'tandem-mq/net': 'Server',
  'tandem-mq/wal': 'WriteAheadLog',
}
const MUST_SHIP = [
  'dist/index.js',
  'dist/index.d.ts',
  'dist/cli/main.js',
  'dist/gateway/browser/dashboard-icon.svg',
  'dist/gateway/browser/dashboard.css',
  'dist/gateway/browser/dashboard.html',
  'dist/gateway/browser/dashboard.js',
  'dist/gateway/browser/tandem-mq.d.ts',
  'dist/gateway/browser/tandem-mq.js',
  'docs/broker.md',
  'docs/channel.md',
  'docs/gateway.md',
  'docs/gateway.proto',
  'docs/net.md',
  'docs/pictures/fan-out.svg',
  'docs/pictures/ownership.svg',
  'docs/pictures/put-back.svg',
  'docs/pictures/rotation.svg',
  'docs/pictures/spill.svg',
  'docs/pictures/switch-rule.svg',
  'docs/pictures/water-marks.svg',
  'docs/migrating-from-kafkajs.md',
  'docs/wal.md',
  'LICENSE',
  'README.md',
  'package.json',
]

const work = resolve(process.argv[2] ?? '.')
const project = join(work, 'consumer-project')
mkdirSync(project, { recursive: true })

const tarball = pack()
writeFileSync(join(project, 'package.json'), '{"name":"consumer-project","private":true,"type":"module"}\n')
run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', join(work, tarball)], project)
importAll()
compileAll()
runProgram()
console.log(`${tarball}: packed, installed, imported, type checked and started from another project`)

function pack() {
  const [report] = JSON.parse(jsonPart(run('npm', ['pack', '--json', '--pack-destination', work], '.')))
  const shipped = report.files.map(({ path }) => path)
  const missing = MUST_SHIP.filter((path) => !shipped.includes(path))
  const foreign = shipped.filter(
    (path) =>
      !/^(dist\/|docs\/(broker|channel|gateway|migrating-from-kafkajs|net|wal)\.md$|docs\/gateway\.proto$|docs\/pictures\/[\w-]+\.svg$|[A-Z]+\.md$|LICENSE$|package\.json$)/.test(
        path,
      ),
  )
  if (missing.length + foreign.length > 0)
    throw new Error(`tarball lacks [${missing}] and should not hold [${foreign}]`)
  return report.filename
}

/** npm prints what its scripts print before its own answer. */
function jsonPart(text) {
  const at = text.search(/^\[$/m)
  return at < 0 ? text : text.slice(at)
}

function importAll() {
  const lines = Object.entries(ENTRIES).map(
    ([entry, name]) =>
      `if (typeof (await import('${entry}')).${name} !== 'function') throw new Error('${entry} lacks ${name}')`,
  )
  writeFileSync(join(project, 'use.js'), `${lines.join('\n')}\n`)
  run(process.execPath, ['use.js'], project)
}

function compileAll() {
  const lines = Object.entries(ENTRIES).map(
    ([entry, name]) => `import { ${name} } from '${entry}'\nconsole.log(${name}.name)`,
  )
  writeFileSync(join(project, 'use.ts'), `${lines.join('\n')}\n`)
  const options = [
    '--noEmit',
    '--strict',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--moduleResolution',
    'nodenext',
  ]
  const types = ['--typeRoots', resolve('node_modules/@types'), '--types', 'node']
  run(resolve('node_modules/.bin/tsc'), [...options, ...types, 'use.ts'], project)
}

/** The installed `tandem-mq`: its help, and a broker of its own that it pings. */
function runProgram() {
  const help = run('npx', ['--no-install', 'tandem-mq', '--help'], project)
  if (!help.includes('Usage: tandem-mq')) throw new Error(`tandem-mq --help printed: ${help}`)
  const lines = [
    "import { execFile } from 'node:child_process'",
    "import { createBroker } from 'tandem-mq/broker'",
    'const broker = await createBroker()',
    "execFile('npx', ['--no-install', 'tandem-mq', 'ping', '-b', broker.bootstrap], async (error, stdout, stderr) => {",
    '  await broker.close()',
    "  if (error !== null || !stdout.startsWith('broker 1: ')) throw new Error(stdout + stderr)",
    '})',
  ]
  writeFileSync(join(project, 'ping.js'), `${lines.join('\n')}\n`)
  run(process.execPath, ['ping.js'], project)
}

function run(program, args, cwd) {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')} failed:\n${error.stdout}${error.stderr}`)
  }
}
