/**
 * The arrows of the house: imports go down only, through doors only, without cycles, and every file is reached.
 * The table is data; changing it means a decision note.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LIB = join(ROOT, 'lib')

/** Room -> rooms it may import, besides errors and util. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  errors: [],
  util: [],
  config: [],
  protocol: [],
  net: [],
  channel: [],
  codec: [],
  wal: ['channel'], // the type of what a channel asks of a log (decision 21)
  queue: ['channel', 'wal', 'config'],
  cluster: ['protocol', 'net', 'config'],
  producer: ['cluster', 'wal', 'codec', 'channel', 'protocol', 'config'],
  consumer: ['cluster', 'codec', 'channel', 'protocol', 'config'],
  admin: ['cluster', 'protocol', 'config'],
  serializers: ['codec', 'config'],
  broker: ['protocol', 'codec', 'net', 'config'],
  gateway: ['net', 'config', 'producer', 'consumer'],
  metrics: ['config', 'channel', 'net', 'wal', 'queue', 'cluster', 'producer', 'consumer', 'gateway'],
}
/** Files beside the rooms: they wire everything. */
const TOP = [
  'mq',
  'mq-manager',
  'default-mq',
  'factories',
  'signals',
  'closing',
  'queue-sender',
  'gateway-backend',
  'index',
]
/** Files that are started, not imported: what `bin` in package.json names, and what a server forks. */
const PROGRAMS = ['lib/cli/main.ts', 'lib/net/server/loops/loop-process.ts']
/** Packages and built-in modules that only one room may touch. */
const OWNED: Record<string, readonly string[]> = {
  'node:net': ['net', 'wal'], // wal: the named pipe that locks a directory on Windows (decision 20)
  'node:tls': ['net'],
  kafkajs: ['admin'],
  commander: ['cli'],
  '@opentelemetry/api': ['metrics'],
  'lz4-napi': ['codec'],
  snappy: ['codec'],
  '@mongodb-js/zstd': ['codec'],
  'prom-client': ['metrics'],
  '@node-rs/crc32': ['util'],
}

interface Import {
  readonly from: string
  readonly to: string
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? sourcesBelow(path) : path.endsWith('.ts') ? [path] : []))
}

/** Every module specifier of a file: import, export-from, dynamic import and createRequire calls; types count. */
function specifiersOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const found = code.matchAll(
    /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|\brequire\(\s*|createRequire\([^)]*\)\(\s*)['"]([^'"]+)['"]/g,
  )
  return [...found].map((match) => match[1] as string)
}

function roomOf(file: string): string {
  const [first = '', ...rest] = relative(LIB, file).split('/')
  return rest.length === 0 ? first.replace(/\.ts$/, '') : first
}

const name = (file: string) => relative(ROOT, file)

function checkLayers(files: ReadonlyMap<string, string>): string[] {
  const problems: string[] = []
  const imports: Import[] = []
  for (const [file, text] of files) {
    const room = roomOf(file)
    const isTop = TOP.includes(room)
    if (!isTop && room !== 'cli' && MAY_IMPORT[room] === undefined) {
      problems.push(`${name(file)}: the room ${room} is not in the table`)
      continue
    }
    for (const specifier of specifiersOf(text)) {
      if (!specifier.startsWith('.')) {
        const owners = OWNED[specifier]
        if (owners !== undefined && !owners.includes(room)) {
          problems.push(`${name(file)} -> ${specifier}: only ${owners.join(', ')} may import it`)
        }
        continue
      }
      if (!specifier.endsWith('.js')) problems.push(`${name(file)} -> ${specifier}: relative imports end in .js`)
      const to = resolve(dirname(file), specifier.replace(/\.js$/, '.ts'))
      imports.push({ from: file, to })
      const target = roomOf(to)
      if (target === room && !isTop) {
        if (to === join(LIB, room, 'index.ts'))
          problems.push(`${name(file)} -> ${name(to)}: a room never imports its own door`)
        continue
      }
      const allowed = ['errors', 'util', ...(MAY_IMPORT[room] ?? [])]
      if (!isTop && room !== 'cli' && !allowed.includes(target)) {
        problems.push(
          `${name(file)} -> ${name(to)}: ${room} may import ${allowed.filter((other) => other !== room).join(', ')}`,
        )
      }
      if (room === 'errors') problems.push(`${name(file)} -> ${name(to)}: errors may import nothing`)
      if (!TOP.includes(target) && to !== join(LIB, target, 'index.ts')) {
        problems.push(`${name(file)} -> ${name(to)}: goes around the door lib/${target}/index.ts`)
      }
    }
  }
  return [...problems, ...cyclesOf(imports), ...unreachedOf(files, imports)]
}

function cyclesOf(imports: readonly Import[]): string[] {
  const next = new Map<string, string[]>()
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to])
  const done = new Set<string>()
  const problems: string[] = []
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      problems.push(`cycle: ${[...path.slice(at), file].map(name).join(' -> ')}`)
      return
    }
    if (done.has(file)) return
    for (const to of next.get(file) ?? []) visit(to, [...path, file])
    done.add(file)
  }
  for (const file of next.keys()) visit(file, [])
  return problems
}

function unreachedOf(files: ReadonlyMap<string, string>, imports: readonly Import[]): string[] {
  const reached = new Set<string>()
  const visit = (file: string): void => {
    if (reached.has(file)) return
    reached.add(file)
    for (const edge of imports) if (edge.from === file) visit(edge.to)
  }
  for (const file of files.keys()) if (file.endsWith('/index.ts') || PROGRAMS.includes(name(file))) visit(file)
  return [...files.keys()].filter((file) => !reached.has(file)).map((file) => `${name(file)}: no door reaches it`)
}

describe('layers', () => {
  it('imports go down only, through doors, without cycles, and every file is reached', () => {
    const files = new Map(sourcesBelow(LIB).map((file) => [file, readFileSync(file, 'utf8')]))
    expect(files.size).toBeGreaterThan(10)
    expect(checkLayers(files)).toEqual([])
  })

  it('every import of a relative file names a file that exists', () => {
    const missing = sourcesBelow(LIB).flatMap((file) =>
      specifiersOf(readFileSync(file, 'utf8'))
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => resolve(dirname(file), specifier.replace(/\.js$/, '.ts')))
        .filter((path) => !existsSync(path)),
    )
    expect(missing).toEqual([])
  })

  it('tells each kind of offence by its line', () => {
    const at = (path: string) => join(LIB, path)
    const problems = checkLayers(
      new Map([
        [at('errors/index.ts'), ''],
        [at('util/index.ts'), "import type { A } from '../errors/index.js'"],
        [at('protocol/index.ts'), "export { b } from './b.js'"],
        [at('protocol/b.ts'), "import { c } from './c.js'\nimport { door } from './index.js'"],
        [at('protocol/c.ts'), "import { b } from './b.js'"],
        [at('protocol/lonely.ts'), "import { x } from '../util/index.js'"],
        [at('net/index.ts'), "import type { p } from '../protocol/index.js'\nimport { c } from '../util/clock.js'"],
        [at('cluster/index.ts'), "import net from 'node:net'"],
        [at('util/clock.ts'), ''],
      ]),
    )
    const all = problems.join('\n')
    expect(all).toContain('lib/net/index.ts -> lib/protocol/index.ts: net may import errors, util')
    expect(all).toContain('lib/net/index.ts -> lib/util/clock.ts: goes around the door lib/util/index.ts')
    expect(all).toContain('lib/protocol/b.ts -> lib/protocol/index.ts: a room never imports its own door')
    expect(all).toContain('cycle: lib/protocol/b.ts -> lib/protocol/c.ts -> lib/protocol/b.ts')
    expect(all).toContain('lib/protocol/lonely.ts: no door reaches it')
    expect(all).toContain('lib/cluster/index.ts -> node:net: only net, wal may import it')
  })
})
