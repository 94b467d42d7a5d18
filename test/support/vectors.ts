/**
 * The folder of golden bytes made with Apache Kafka itself: `TANDEM_VECTORS`, or `../shared/vectors` beside the
 * repository. Why optional: it is not part of the package. Tests that need it are skipped visibly without it, and a few
 * must-have cases are copied into test/fixtures, so that no test run passes on nothing.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const vectorsFolder = process.env.TANDEM_VECTORS ?? join(ROOT, '..', 'shared', 'vectors')

export const hasVectors = existsSync(join(vectorsFolder, 'headers.json'))

/** The parsed JSON of `path` below the folder; undefined when it is not there. The caller knows its form. */
// biome-ignore lint/suspicious/noExplicitAny: the form of a vector file is known to the test that reads it
export function vectors(path: string): any {
  const file = join(vectorsFolder, path)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Names of the JSON files in a folder of the vectors; empty when it is not there. */
export function vectorFiles(folder: string): string[] {
  const path = join(vectorsFolder, folder)
  return existsSync(path)
    ? readdirSync(path)
        .filter((name) => name.endsWith('.json'))
        .sort()
    : []
}

/** The same for test/fixtures, which is always there. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export function fixture(path: string): any {
  return JSON.parse(readFileSync(join(ROOT, 'test', 'fixtures', path), 'utf8'))
}

export function unhex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
