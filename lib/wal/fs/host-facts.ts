/**
 * Who and where we are, as OPEN frames and the LOCK file record it.
 * Why asked once, at opening: they hold for the life of the process, and tests give their own. Source: wal.md 2.2, 2.5.
 */
import { randomFillSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Clock, Logger } from '../../util/index.js'
import type { HostFacts, WalParts } from '../types.js'
import { bootIdOf } from './boot-id.js'
import { nodeWalFs } from './node-fs.js'

/** The facts of this process; `bootId` is '' where the system tells none (Windows). */
export function hostFacts(): HostFacts {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: bootIdOf(process.platform),
    userId: process.geteuid?.() ?? -1,
    version: packageVersion(),
  }
}

/** Everything a log needs of the real world. */
export function walParts(clock: Clock, logger: Logger): WalParts {
  return { fs: nodeWalFs, clock, logger, host: hostFacts(), randomBytes: (into) => void randomFillSync(into) }
}

function packageVersion(): string {
  try {
    const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
    return String((JSON.parse(text) as { version?: unknown }).version ?? '')
  } catch {
    return '' // Bundled into one file: there is no package.json beside it, and the version is information only.
  }
}
