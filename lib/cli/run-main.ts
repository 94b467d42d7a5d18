/**
 * The program as a function of its words and its surroundings.
 * Invariant: it never throws and never ends the process.
 */
import { readFileSync } from 'node:fs'
import type { CliIo } from './io.js'
import { fromKcat } from './kcat.js'
import { runProgram } from './program.js'

/** `words` without node and script. The exit code: 0 done, 1 failed, 2 the command line or configuration is wrong. */
export function main(words: readonly string[], io: CliIo): Promise<number> {
  return runProgram(words.length === 0 ? ['--help'] : fromKcat(words), io, versionOf())
}

/** Beside `lib` and beside `dist` alike. */
function versionOf(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
