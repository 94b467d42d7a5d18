/**
 * OPEN: one opening of the log, by whom and in which mode; the first frame after what recovery found.
 * Why the boot id: it tells whether unsynced pages may have been lost (wal.md 2.8, E10).
 * Source: wal.md 2.5, type 2.
 *
 *   0 incarnation  4 incarnationId (8 B)  12 previousLsn  20 tornBytes  28 openedAtMs  36 pid  40 durability  41 zero
 *   44 bootId, host, version (texts)
 */
import type { LogDurability } from '../../types.js'
import { putU64 } from '../integers.js'
import { BodyReader, putHex, putText, textBytes } from './body-reader.js'

const FIXED_BYTES = 44
const DURABILITIES: readonly LogDurability[] = ['spill', 'os', 'periodic', 'immediate']

export interface OpenBody {
  readonly incarnation: number
  /** 16 hex digits. */
  readonly incarnationId: string
  /** The last LSN before this opening. */
  readonly previousLsn: number
  /** Torn bytes found behind it. */
  readonly tornBytes: number
  readonly openedAtMs: number
  readonly pid: number
  readonly durability: LogDurability
  /** '' = unknown. */
  readonly bootId: string
  readonly host: string
  /** Of the library. */
  readonly version: string
}

export function openBytes(open: OpenBody): number {
  return FIXED_BYTES + textBytes(open.bootId) + textBytes(open.host) + textBytes(open.version)
}

export function encodeOpen(into: Uint8Array, view: DataView, at: number, open: OpenBody): number {
  view.setUint32(at, open.incarnation, true)
  putHex(into, at + 4, open.incarnationId)
  putU64(view, at + 12, open.previousLsn)
  putU64(view, at + 20, open.tornBytes)
  putU64(view, at + 28, open.openedAtMs)
  view.setUint32(at + 36, open.pid, true)
  view.setUint32(at + 40, DURABILITIES.indexOf(open.durability), true)
  const hostAt = putText(into, view, at + FIXED_BYTES, open.bootId)
  return putText(into, view, putText(into, view, hostAt, open.host), open.version)
}

/** @throws MQError WAL_CORRUPT */
export function decodeOpen(bytes: Uint8Array, view: DataView, at: number, length: number): OpenBody {
  const reader = new BodyReader(bytes, view, at, length, 'OPEN')
  const incarnation = reader.u32()
  const incarnationId = reader.hex(8)
  const previousLsn = reader.u64()
  const tornBytes = reader.u64()
  const openedAtMs = reader.u64()
  const pid = reader.u32()
  const durability = DURABILITIES[reader.u8()]
  reader.skip(3)
  if (durability === undefined) throw reader.damaged('its mode is unknown')
  const bootId = reader.text()
  const host = reader.text()
  const version = reader.text()
  return { incarnation, incarnationId, previousLsn, tornBytes, openedAtMs, pid, durability, bootId, host, version }
}
