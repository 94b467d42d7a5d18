/** Which programs the examples of the reactor and the gateway are; scripts/ci/examples.mjs runs each of them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../docs/markdown.js'

const NET = ['echo', 'push', 'idle', 'max-connections', 'buffer-length', 'websocket', 'protobuf'].map(
  (name) => `net-${name}`,
)
const PROGRAMS = [...NET, 'gateway-push']

describe('examples of the reactor and the gateway', () => {
  it.each(PROGRAMS)('EX-2: %s is there, checks what it shows, and README.md names it', (name) => {
    const path = join(ROOT, 'examples', `${name}.ts`)
    expect(existsSync(path)).toBe(true)
    expect(readFileSync(path, 'utf8').match(/^ *check\(/gm)?.length ?? 0).toBeGreaterThanOrEqual(2)
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(`\`${name}\``)
  })
})
