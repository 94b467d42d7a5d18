/**
 * API.md names every public export and nothing else, every public member of the classes, and every configuration field
 * with its real default.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { clientFields } from '../../lib/config/client-fields.js'
import { consumerFields } from '../../lib/config/consumer-fields.js'
import {
  defaultConsumerConfig,
  defaultProducerConfig,
  resolveConfig,
  resolveConsumerConfig,
  resolveProducerConfig,
} from '../../lib/config/index.js'
import { PRESET_NAMES, PRESETS } from '../../lib/config/presets.js'
import { producerFields } from '../../lib/config/producer-fields.js'
import { chapterOf, exportsOf, headingNames, ROOT, read, tableRows } from './markdown.js'

const ENTRIES = {
  'tandem-mq': 'lib/index.ts',
  'tandem-mq/broker': 'lib/broker/index.ts',
  'tandem-mq/channel': 'lib/channel/index.ts',
  'tandem-mq/gateway': 'lib/gateway/index.ts',
  'tandem-mq/net': 'lib/net/index.ts',
  'tandem-mq/queue': 'lib/queue/index.ts',
  'tandem-mq/wal': 'lib/wal/index.ts',
}
const GROUPS = [
  'connection',
  'ssl',
  'sasl',
  'trace',
  'performance',
  'pool',
  'wal',
  'metrics',
  'monitoring',
  'monitoring.alerts',
  'adaptiveBatch',
  'circuitBreaker',
  'dedup',
]

/** Members that exist at run time, but not for users. */
function hiddenMembers(): Set<string> {
  const sources = ['channel', 'producer', 'consumer', 'broker', 'util', 'errors'].flatMap((room) =>
    readdirSync(join(ROOT, 'lib', room))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(ROOT, 'lib', room, name), 'utf8')),
  )
  const text = sources.join('\n')
  const marked = [
    ...text.matchAll(/^ {2}protected (?:override |readonly |abstract |async |get )*(\w+)/gm),
    ...text.matchAll(/@internal[^/]*\*\/\s+(?:async )?(\w+)/g),
  ]
  return new Set(marked.map(([, name = '']) => name))
}

function membersOf(type: { prototype: object }): string[] {
  return Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor')
}

/** Paths of a resolved configuration: `connection.dialTimeoutMs`. */
function pathsOf(config: object, at = ''): string[] {
  return Object.entries(config).flatMap(([key, value]) =>
    GROUPS.includes(at + key) ? pathsOf(value as object, `${at}${key}.`) : [`${at}${key}`],
  )
}

/** How many values a partial configuration sets. */
function leafCount(config: object): number {
  return Object.values(config).reduce<number>(
    (sum, value) => sum + (typeof value === 'object' && value !== null ? leafCount(value as object) : 1),
    0,
  )
}

function valueAt(config: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config)
}

function nested(path: string, value: unknown): object {
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object
}

/** A default as API.md writes it: `unset`, or JSON with single quotes. */
function parsed(cell: string): unknown {
  if (cell === 'unset') return undefined
  return JSON.parse(cell.replace(/^`|`$/g, '').replaceAll("'", '"'))
}

describe.each(Object.entries(ENTRIES))('API.md on %s', (entry, index) => {
  const documented = headingNames('API.md').get(entry) ?? []

  it('has a heading for every export', () => {
    expect(exportsOf(index).filter((name) => !documented.includes(name))).toEqual([])
  })

  it('has no heading for a name that is not exported, and none twice', () => {
    const names = exportsOf(index)
    expect(documented.filter((name) => !names.includes(name))).toEqual([])
    expect(documented.filter((name, at) => documented.indexOf(name) !== at)).toEqual([])
  })

  it('names every public member of the exported classes and objects', async () => {
    const chapter = chapterOf('API.md', entry)
    const hidden = hiddenMembers()
    const exported = (await import(join(ROOT, index))) as Record<string, unknown>
    const missing = Object.entries(exported).flatMap(([name, value]) => {
      const isClass = typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))
      const members = isClass ? membersOf(value as never) : name === 'fault' ? Object.keys(value as object) : []
      return members.filter((member) => !hidden.has(member) && !new RegExp(`\\b${member}\\b`).test(chapter))
    })
    expect(missing).toEqual([])
  })
})

describe('API.md on tandem-mq/gateway/client', () => {
  it('has a heading for every export of the script that browsers load, and every member of its classes', async () => {
    const exported = (await import(join(ROOT, 'lib/gateway/browser/tandem-mq.js'))) as Record<string, unknown>
    expect(headingNames('API.md').get('tandem-mq/gateway/client')?.sort()).toEqual(Object.keys(exported).sort())
    const chapter = chapterOf('API.md', 'tandem-mq/gateway/client')
    const members = membersOf(exported.GatewayClient as never)
    expect(members.filter((member) => !new RegExp(`\\b${member}\\b`).test(chapter))).toEqual([])
  })
})

describe('API.md on the configuration', () => {
  const client = tableRows(read('API.md'), 'client field')
  const producer = tableRows(read('API.md'), 'producer field')
  const consumer = tableRows(read('API.md'), 'consumer field')
  const fieldOf = ([cell = '']: string[]) => cell.replaceAll('`', '')
  const forms = [
    ['producer', [...client, ...producer], defaultProducerConfig(), resolveProducerConfig],
    ['consumer', [...client, ...consumer], defaultConsumerConfig(), resolveConsumerConfig],
  ] as const

  it.each(forms)('CF-1: names every field of the %s, and none that does not exist', (_name, rows, defaults) => {
    expect(rows.map(fieldOf).sort()).toEqual(pathsOf(defaults).sort())
  })

  /** Resolving the documented default must give what leaving it out gives. */
  function wrongDefaults(rows: readonly string[][], defaults: object, resolve: (config: object) => object): string[] {
    return rows.flatMap((row) => {
      const [path, cell = ''] = [fieldOf(row), row[1]]
      if (path === 'logger') return [] // A new one each time.
      const expected = valueAt(defaults, path)
      const value = parsed(cell)
      const actual = value === undefined ? undefined : valueAt(resolve(nested(path, value)), path)
      return JSON.stringify(actual) === JSON.stringify(expected) ? [] : [`${path}: ${cell}, really ${String(expected)}`]
    })
  }

  it.each(forms)('CF-1: gives every field of the %s its real default', (_name, rows, defaults, resolve) => {
    expect(wrongDefaults(rows, defaults, resolve)).toEqual([])
  })

  it('CF-2: every alias stands in the row of its field', () => {
    const tables = [
      [client, clientFields],
      [producer, producerFields],
      [consumer, consumerFields],
    ] as const
    const missing = tables.flatMap(([rows, table]) =>
      Object.entries(table).flatMap(([path, spec]) => {
        const text = rows.find((row) => fieldOf(row) === path)?.at(-1) ?? ''
        const names = spec.aliases.map((alias) => alias.path.split('.').at(-1) as string)
        return names.filter((name) => !text.includes(name)).map((name) => `${path}: ${name}`)
      }),
    )
    expect(missing).toEqual([])
  })

  it.each(PRESET_NAMES)('CF-4: gives preset %s its real values, and all of them', (preset) => {
    const [header = [], ...rows] = tableRows(read('API.md'), 'preset field', true)
    const column = header.indexOf(preset)
    const listed = rows.flatMap((row) => {
      const cell = row[column] ?? ''
      return cell === '' ? [] : [[fieldOf(row), parsed(cell) === 'all' ? -1 : parsed(cell)]]
    })
    const resolved = resolveConfig({ preset })
    for (const [path, value] of listed) expect(valueAt(resolved, path as string), String(path)).toEqual(value)
    const { client: shared, producer: sent, consumer: read_ } = PRESETS[preset]
    const count = [shared, sent, read_].map((part) => leafCount(part)).reduce((sum, one) => sum + one, 0)
    expect(listed).toHaveLength(count)
  })

  it('CF-1: the defaults in the README are the real ones too', () => {
    const rows = tableRows(read('README.md'), 'field')
    const names = new Set(pathsOf(defaultProducerConfig()))
    expect(rows.length).toBeGreaterThan(15)
    const [ours, theirs] = [
      rows.filter((row) => names.has(fieldOf(row))),
      rows.filter((row) => !names.has(fieldOf(row))),
    ]
    expect(wrongDefaults(ours, defaultProducerConfig(), resolveProducerConfig)).toEqual([])
    expect(wrongDefaults(theirs, defaultConsumerConfig(), resolveConsumerConfig)).toEqual([])
  })
})
