/**
 * The child as plain JavaScript, compiled once per run.
 * Why: a loader that compiles on the fly costs each of hundreds of children a second of a core.
 * Why below node_modules: packages are found from there, and nothing of it is ever committed. Types are not looked at
 * here; the type check of the whole repository does that.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))

export interface CompiledChild {
  readonly path: string
  remove(): void
}

export function compileChild(): CompiledChild {
  const cache = join(REPOSITORY, 'node_modules', '.cache')
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'tandem-chaos-'))
  const settings = {
    extends: join(REPOSITORY, 'tsconfig.json'),
    compilerOptions: { noEmit: false, noCheck: true, rootDir: REPOSITORY, outDir: join(folder, 'out') },
    include: [join(REPOSITORY, 'lib'), join(REPOSITORY, 'test/chaos/support/child.ts')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    execFileSync(
      process.execPath,
      [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), '-p', join(folder, 'tsconfig.json')],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const path = join(folder, 'out/test/chaos/support/child.js')
    if (!existsSync(path)) throw new Error(`the compiler left no ${path}`)
    return { path, remove }
  } catch (error) {
    remove()
    throw error
  }
}
