/**
 * MANIFEST: what a directory is, and the names of the files beside it. Never changed in place.
 * One line of JSON, a newline, 8 hex digits: the CRC-32C of the line. Text, because an operator reads it first.
 * Source: wal.md 2.1.
 */
import type { MQError } from '../../errors/index.js'
import { crc32c } from '../../util/index.js'
import { walError } from '../errors.js'
import type { LockMethod } from '../fs.js'
import type { WalOwner } from '../types.js'
import { FORMAT_MAJOR, SEGMENT_HEADER_BYTES } from './constants.js'

export const MANIFEST_NAME = 'MANIFEST'
export const LOCK_NAME = 'LOCK'
export const QUARANTINE_NAME = 'quarantine'
const FORMAT_NAME = 'tandem-mq-wal'
/** Far more than any release will write: a larger file is not a manifest. */
export const MANIFEST_MAX_BYTES = 16_384
const LOCKS: readonly string[] = ['flock', 'sqlite', 'pipe', 'pidfile'] satisfies LockMethod[]
const OWNERS: readonly string[] = ['producer', 'queue'] satisfies WalOwner[]

export interface Manifest {
  readonly format: typeof FORMAT_NAME
  readonly major: number
  readonly minor: number
  /** 32 hex digits. */
  readonly walId: string
  readonly owner: WalOwner
  readonly segmentBytes: number
  readonly sectorBytes: number
  readonly lock: LockMethod
  readonly createdAtMs: number
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const { format, major, minor, walId, owner, segmentBytes, sectorBytes, lock, createdAtMs } = manifest
  const line = JSON.stringify({ format, major, minor, walId, owner, segmentBytes, sectorBytes, lock, createdAtMs })
  return Buffer.from(`${line}\n${crcText(line)}`)
}

/**
 * @throws MQError WAL_CORRUPT: not what `encodeManifest` writes; WAL_VERSION: of a major this release does not read.
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const cut = text.indexOf('\n')
  const line = text.slice(0, cut)
  if (cut < 0 || text.slice(cut + 1) !== crcText(line)) throw damaged('its checksum does not match its line', bytes)
  const fields = parsed(line, bytes)
  if (fields.format !== FORMAT_NAME) throw damaged(`its format is ${JSON.stringify(fields.format)}`, bytes)
  if (fields.major !== FORMAT_MAJOR) {
    throw walError(
      'WAL_VERSION',
      `MANIFEST has format version ${fields.major}.${fields.minor}, this release reads ${FORMAT_MAJOR}.x: use the release that wrote the directory`,
      { found: Number(fields.major), expected: FORMAT_MAJOR },
    )
  }
  for (const [field, isGood] of CHECKS) {
    if (!isGood(fields[field])) throw damaged(`its field ${field} is ${JSON.stringify(fields[field])}`, bytes)
  }
  return fields as unknown as Manifest
}

const CHECKS: readonly (readonly [keyof Manifest, (value: unknown) => boolean])[] = [
  ['minor', (value) => isCount(value, 0)],
  ['walId', (value) => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)],
  ['owner', (value) => OWNERS.includes(value as string)],
  ['segmentBytes', (value) => isCount(value, SEGMENT_HEADER_BYTES * 2)],
  ['sectorBytes', (value) => value === 512 || value === 4096],
  ['lock', (value) => LOCKS.includes(value as string)],
  ['createdAtMs', (value) => isCount(value, 0)],
]

function isCount(value: unknown, minimum: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= minimum
}

function parsed(line: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch (error) {
    throw damaged('it is not JSON', bytes, error)
  }
  throw damaged('it is not a JSON object', bytes)
}

function damaged(what: string, bytes: Uint8Array, cause?: unknown): MQError {
  const text = `MANIFEST (${bytes.length} B) is damaged: ${what}; rebuild it from the segments with "wal repair --rebuild-manifest"`
  return walError('WAL_CORRUPT', text, { file: MANIFEST_NAME, bytes: bytes.length }, cause)
}

function crcText(line: string): string {
  return crc32c(Buffer.from(line)).toString(16).padStart(8, '0')
}

/** `0000000000000001.wal` is segment 1. */
export function segmentName(segment: number): string {
  return `${segment.toString(16).padStart(16, '0')}.wal`
}

/** null: not the name of a segment (numbers begin at 1). */
export function segmentNumberOf(name: string): number | null {
  if (!/^[0-9a-f]{16}\.wal$/.test(name)) return null
  const segment = Number.parseInt(name, 16)
  return Number.isSafeInteger(segment) && segment > 0 ? segment : null
}

export function spareName(index: number): string {
  return `spare-${index}.seg`
}

/** null: not the name of a spare. */
export function spareIndexOf(name: string): number | null {
  const match = /^spare-(0|[1-9][0-9]{0,8})\.seg$/.exec(name)
  return match === null ? null : Number(match[1])
}
