/**
 * The measured processes as plain JavaScript.
 * Why: a loader that compiles on the fly adds 90 MiB to every client's memory and leaves traces in hot functions.
 * Compiled into the folder of the peers, so that their packages are found. Invariant: what runs is what stands here now.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

/** Compiles all workers, a second or two; called once per benchmark. Types are looked at by the check of the repository. */
export function compileWorkers(): void {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'bench/tsconfig.json', '--noCheck'], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

/** Where `bench/harness/<name>.ts` stands compiled. */
export function compiledWorker(name: string): string {
  return `${REPOSITORY}bench/peers/.build/bench/harness/${name}.js`
}
