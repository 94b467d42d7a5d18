/**
 * docs/wal.md against the code: the promise is told in one wording, every case and every exit code has its row, and the
 * tests it names exist.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { WalExit } from '../../lib/cli/commands/wal/exit-codes.js'
import { resolveConfig } from '../../lib/index.js'
import { ROOT, read, tableRows } from './markdown.js'

const guide = read('docs/wal.md')
const fields = Object.keys(resolveConfig({}).wal)

describe('docs/wal.md', () => {
  it('WA-1: README and guide promise the same, in the same words, for each durability', () => {
    const promise = tableRows(guide, '`durability`', true)
    expect(tableRows(read('README.md'), '`durability`', true)).toEqual(promise)
    const modes = promise.slice(1).map(([cell = '']) => /`(\w+)`/.exec(cell)?.[1])
    expect(modes).toEqual(['memory', 'spill', 'os', 'periodic', 'immediate'])
    expect(promise.at(-1)?.slice(2)).toEqual(['**0 lost**', '**0 lost**', 'kill -9 **and** power loss'])
  })

  it('wal.md 1.3: has a row for each of the fourteen cases', () => {
    expect(tableRows(guide, 'case').map(([name]) => name)).toEqual(Array.from({ length: 14 }, (_, n) => `E${n + 1}`))
  })

  it('wal.md 5: has a row for each exit code, and for each command', () => {
    expect(tableRows(guide, 'exit code').map(([code]) => Number(code))).toEqual(Object.values(WalExit))
    const commands = ['inspect', 'verify', 'recover', 'repair']
    expect(tableRows(guide, 'command').map(([name]) => name)).toEqual(commands.map((name) => `\`${name}\``))
  })

  it('names fields that exist', () => {
    const named = [...guide.matchAll(/`wal\.(\w+)/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(8)
    expect(named.filter((name) => !fields.includes(name))).toEqual([])
  })

  it('names tests that exist', () => {
    const named = [...guide.matchAll(/`(test\/[\w/-]+)`/g)].map(([, path = '']) => path)
    expect(named.length).toBeGreaterThan(1)
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})
