/** Every row of every table: default, lowest, highest, just outside, wrong type, each alias (CF-1, CF-2, CF-3). */
import { describe, expect, it } from 'vitest'
import { clientFields } from '../../lib/config/client-fields.js'
import { consumerFields } from '../../lib/config/consumer-fields.js'
import type { FieldTable } from '../../lib/config/field.js'
import { resolveClientConfig, resolveConsumerConfig, resolveProducerConfig } from '../../lib/config/index.js'
import { producerFields } from '../../lib/config/producer-fields.js'
import { MQError } from '../../lib/errors/index.js'
import { allClientRows, consumerRows, functionRows, producerRows, type Row } from './rows.js'

type Resolve = (config: object) => object

function put(base: object, path: string, value: unknown): object {
  const [head, ...rest] = path.split('.') as [string, ...string[]]
  const old = (base as Record<string, unknown>)[head]
  return { ...base, [head]: rest.length === 0 ? value : put((old ?? {}) as object, rest.join('.'), value) }
}

function at(config: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config)
}

/** Objects that are values, not groups. */
const OPAQUE = ['logger', 'topics', 'labels', 'registry', 'sink', 'authenticator']

function leaves(config: object): string[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isGroup && !OPAQUE.includes(key) ? leaves(value).map((leaf) => `${key}.${leaf}`) : [key]
  })
}

function issuesOf(resolve: Resolve, config: object): { path: string; value: unknown; expected: string }[] {
  try {
    resolve(config)
  } catch (error) {
    expect(error).toBeInstanceOf(MQError)
    expect((error as MQError).code).toBe('INVALID_CONFIG')
    return (error as MQError).context.issues as never
  }
  return []
}

function checkRow(resolve: Resolve, row: Row): void {
  it(`CF-1: ${row.path} has its default`, () => {
    if (row.path === 'logger') expect(at(resolve({}), row.path)).toHaveProperty('info')
    else expect(at(resolve({}), row.path)).toEqual(row.fallback)
    const unset = resolve(put({}, row.path, undefined))
    if (row.path !== 'logger') expect(at(unset, row.path), 'undefined is unset').toEqual(row.fallback)
  })
  it(`CF-3: ${row.path} takes its extremes`, () => {
    for (const { value, with: others } of row.legal) {
      expect(at(resolve(put(others ?? {}, row.path, value)), row.path)).toEqual(value)
    }
  })
  it(`CF-3: ${row.path} refuses what is outside or of another type`, () => {
    for (const value of row.illegal) {
      const issues = issuesOf(resolve, put({}, row.path, value))
      expect(
        issues.map((issue) => issue.path),
        `${row.path} = ${String(value)}`,
      ).toContain(row.path)
      expect(issues.find((issue) => issue.path === row.path)?.expected).not.toBe('')
    }
  })
  for (const alias of row.aliases) checkAlias(resolve, row, alias)
}

function checkAlias(resolve: Resolve, row: Row, alias: Row['aliases'][number]): void {
  const value = sampleOf(row)
  const given = typeof value === 'number' && alias.factor !== 1 ? value / alias.factor : value
  it(`CF-2: ${alias.path} is another name of ${row.path}`, () => {
    expect(at(resolve(put({}, alias.path, given)), row.path)).toEqual(value)
    expect(at(resolve(put(put({}, alias.path, given), row.path, value)), row.path)).toEqual(value)
  })
  it(`CF-2: ${alias.path} and ${row.path} with different values are refused, naming both`, () => {
    const issues = issuesOf(resolve, put(put({}, row.path, otherOf(row)), alias.path, given))
    const clash = issues.find((issue) => issue.path === alias.path)
    expect(clash?.expected).toContain(row.path)
  })
}

/** A legal value that needs no other field changed. */
function sampleOf(row: Row): unknown {
  if (typeof row.fallback === 'number') return row.fallback
  return row.legal.find((legal) => legal.with === undefined)?.value
}

function otherOf(row: Row): unknown {
  const sample = JSON.stringify(sampleOf(row))
  return row.legal.find((legal) => JSON.stringify(legal.value) !== sample)?.value
}

function checkTable(room: string, resolve: Resolve, rows: readonly Row[]): void {
  describe(room, () => {
    for (const row of rows) checkRow(resolve, row)
  })
}

checkTable('client', resolveClientConfig as Resolve, allClientRows)
checkTable('client fields of a producer', resolveProducerConfig as Resolve, allClientRows)
checkTable('client fields of a consumer', resolveConsumerConfig as Resolve, allClientRows)
checkTable('producer', resolveProducerConfig as Resolve, producerRows)
checkTable('consumer', resolveConsumerConfig as Resolve, consumerRows)

describe('tables', () => {
  it('CF-1: resolved configurations have exactly the rows that are tested here', () => {
    const client = allClientRows.map((row) => row.path).sort()
    expect(leaves(resolveClientConfig()).sort()).toEqual(client)
    expect(leaves(resolveProducerConfig()).sort()).toEqual([...client, ...producerRows.map((row) => row.path)].sort())
    expect(leaves(resolveConsumerConfig()).sort()).toEqual([...client, ...consumerRows.map((row) => row.path)].sort())
  })
  it('CF-2: the tables have exactly the aliases that are tested here', () => {
    const tested = (rows: readonly Row[]) =>
      rows.map((row) => [row.path, row.aliases.map((alias) => alias.path).sort()])
    const inTable = (table: FieldTable) =>
      Object.entries(table).map(([path, spec]) => [path, spec.aliases.map((alias) => alias.path).sort()])
    expect(inTable(clientFields).sort()).toEqual(tested(allClientRows).sort())
    expect(inTable(producerFields).sort()).toEqual(tested(producerRows).sort())
    expect(inTable(consumerFields).sort()).toEqual(tested(consumerRows).sort())
  })
  it('CF-2: no name stands for two fields', () => {
    for (const rows of [producerRows, consumerRows]) {
      const names = [...allClientRows, ...rows].flatMap((row) => [row.path, ...row.aliases.map((alias) => alias.path)])
      expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
    }
  })
  it('CF-1: fields of words that may be a function take one', () => {
    for (const path of functionRows.producer) {
      expect(at(resolveProducerConfig(put({}, path, functionRows.own)), path)).toBe(functionRows.own)
    }
    for (const path of functionRows.consumer) {
      expect(at(resolveConsumerConfig(put({}, path, functionRows.own)), path)).toBe(functionRows.own)
    }
  })
})
