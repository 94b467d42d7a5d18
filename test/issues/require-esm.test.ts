/**
 * `require('tandem-mq')` failed with "No exports main defined": the exports named the condition `import` only, although
 * every Node we support (20.19 and later) can require an ES module. One entry for both, so that there is one module
 * and `instanceof MQError` holds whoever loaded it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
const { exports } = JSON.parse(manifest) as { exports: Record<string, { default?: string } | string> }

it('every entry of the package can be required as well as imported', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-exports-'))
  try {
    const home = join(folder, 'node_modules/tandem-mq')
    const entries = Object.entries(exports).filter(([, entry]) => typeof entry === 'object') as [
      string,
      { default: string },
    ][]
    expect(entries.length).toBeGreaterThanOrEqual(7)
    mkdirSync(home, { recursive: true })
    writeFileSync(join(home, 'package.json'), manifest)
    const { resolve } = createRequire(join(folder, 'user.cjs'))
    for (const [name, entry] of entries) {
      mkdirSync(join(home, entry.default, '..'), { recursive: true })
      writeFileSync(join(home, entry.default), '')
      expect(resolve(join('tandem-mq', name))).toContain(join(entry.default))
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
