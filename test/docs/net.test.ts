/**
 * docs/net.md against the code: defaults, series, codes, methods and examples that it names.
 * That its blocks compile, run and print what they promise is checked with those of the other documents.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, ERROR_REASONS } from '../../lib/index.js'
import { SERIES } from '../../lib/metrics/index.js'
import { Server } from '../../lib/net/index.js'
import { ROOT, read, tableRows } from './markdown.js'

const guide = read('docs/net.md')
const api = read('API.md')
const { options } = new Server({ onMessage: () => {} })

/** A default as the tables write it. */
const shown = (value: unknown) =>
  typeof value === 'number' && value >= 1024 ** 2 && Number.isFinite(value)
    ? `${value / 1024 ** 2} MiB`
    : value === 0
      ? 'off'
      : typeof value === 'number' && Number.isFinite(value)
        ? value.toLocaleString('en-US')
        : `\`${String(value)}\``

describe('docs/net.md', () => {
  it('NT-6, NT-7: gives the real defaults', () => {
    const rows = tableRows(guide, 'limit').map(([name = '', value]) => [name.replaceAll('`', ''), value])
    expect(rows.length).toBeGreaterThanOrEqual(6)
    for (const [name, value] of rows)
      expect([name, value]).toEqual([name, shown(options[name as keyof typeof options])])
    expect(guide).toContain(`(\`${options.address}\`)`)
    expect(guide).toContain(`\`maxPendingMessages\` (${shown(options.maxPendingMessages)})`)
  })

  it('NT-6, NT-7: so does API.md', () => {
    const limits = tableRows(
      api.slice(api.indexOf('### `ConnectionLimits`'), api.indexOf('### `ResolvedServerOptions`')),
      'option',
    )
    const numbers = limits.map(([name = '', value = '']) => [name.replaceAll('`', ''), numberOf(value)])
    const real = numbers.map(([name]) => [name, options[name as keyof typeof options]])
    expect(numbers).toEqual(real)
    expect(real.length).toBeGreaterThanOrEqual(7)
  })

  it('NT-9: lists the series of servers, all and no other', () => {
    const names = SERIES.filter(({ name }) => name.startsWith('net_')).map(
      ({ name, labels }) => `\`${name}${labels.length > 0 ? `{${labels.join(',')}}` : ''}\``,
    )
    expect(tableRows(guide, 'series').map(([name]) => name)).toEqual(names)
  })

  it('names only codes and reasons that exist, and examples that are there', () => {
    const capitals = [...guide.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(([, name = '']) => name)
    const known: readonly string[] = [...ERROR_CODES, ...ERROR_REASONS]
    expect(capitals.length).toBeGreaterThan(5)
    expect(capitals.filter((name) => !known.includes(name))).toEqual([])
    const named = [...guide.matchAll(/examples\/[\w-]+/g)].map(([path]) => `${path}.ts`)
    expect(named.length).toBeGreaterThan(1)
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})

/** `1 MiB`, `0 = off`, `true`, `1024` as values. */
function numberOf(cell: string): number | boolean {
  if (cell === 'true') return true
  const [, digits = '', unit] = /^([\d,]+)(?: (MiB|= off))?$/.exec(cell) ?? []
  return Number(digits.replaceAll(',', '')) * (unit === 'MiB' ? 1024 ** 2 : 1)
}
