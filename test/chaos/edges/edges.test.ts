/**
 * Batches in doubt at the death of their producer, and what the cluster did meanwhile: each story ends as wal.md 1.3 says,
 * with its edges counted exactly. On the in-process broker; `main.ts` plays the same on a real Kafka.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Children } from '../support/children.js'
import { type CompiledChild, compileChild } from '../support/compiled.js'
import { InProcessStage } from './in-process-stage.js'
import { play } from './play.js'
import { SCENARIOS } from './scenarios.js'

const LIMIT_MS = 120_000
const DURABILITIES = ['os', 'periodic', 'immediate'] as const

let compiled: CompiledChild
let children: Children
let root: string

beforeAll(() => {
  compiled = compileChild()
  children = new Children(compiled.path)
  root = mkdtempSync(join(tmpdir(), 'tandem-edges-'))
})
afterAll(async () => {
  await children.close()
  compiled.remove()
  rmSync(root, { recursive: true, force: true })
})

describe('batches in doubt at a kill -9 (WA-2, WA-3, wal.md 1.3)', () => {
  it.each(SCENARIOS.map((scenario, index) => [scenario.name, scenario, index] as const))(
    '%s',
    { timeout: LIMIT_MS },
    async (_, scenario, index) => {
      // A cluster of its own: some scenarios leave it changed.
      await using stage = await InProcessStage.start()
      expect(scenario.absent?.(stage) ?? null).toBeNull()
      const durability = DURABILITIES[index % DURABILITIES.length] ?? 'os'
      const dir = join(root, `log-${index}`)
      expect(await play(scenario, stage, children, { topic: `edge-${index}`, dir, durability })).toEqual([])
    },
  )
})
