/**
 * Cuts the tables of a log into CHECKPOINT bodies of a bounded size.
 * Invariant: every thing is in exactly one part; a part holds at least one thing, however large that is.
 */
import { assert } from '../../util/index.js'
import {
  CHECKPOINT_FIXED_BYTES,
  CHECKPOINT_LISTS_BYTES,
  type CheckpointHead,
  type CheckpointTables,
  checkpointBytes,
  checkpointIdentityBytes,
  checkpointOpenBytes,
  checkpointStreamBytes,
  encodeCheckpoint,
  INCARNATION_BYTES,
  type IncarnationFacts,
  POWER_LOSS_BYTES,
  SETTLED_BYTES,
  type SettledRange,
} from '../format/bodies/checkpoint.js'
import type { OpenBody } from '../format/bodies/open.js'
import type { IdentityFacts, StreamFacts } from '../types.js'

interface Part {
  readonly clusterId: string
  readonly identities: IdentityFacts[]
  readonly incarnations: IncarnationFacts[]
  readonly streams: StreamFacts[]
  readonly settled: SettledRange[]
  readonly lastOpen: OpenBody | null
}

/** `part` and `parts` are u16. */
const MAX_PARTS = 0xffff

/** Bodies in order. Streams come before the settled ranges that name them. */
export function checkpointParts(
  tables: CheckpointTables,
  head: Omit<CheckpointHead, 'part' | 'parts'>,
  maxPartBytes: number,
): Uint8Array[] {
  const parts = cut(tables, maxPartBytes)
  assert(parts.length <= MAX_PARTS, 'a checkpoint has at most 65,535 parts')
  return parts.map((part, index) => {
    const body = new Uint8Array(checkpointBytes(part))
    const view = new DataView(body.buffer)
    const end = encodeCheckpoint(body, view, 0, { ...head, ...part, part: index, parts: parts.length })
    assert(end === body.length, 'a checkpoint is as long as it was computed')
    return body
  })
}

function cut(tables: CheckpointTables, maxPartBytes: number): Part[] {
  const { clusterId, lastOpen } = tables
  const emptyBytes =
    CHECKPOINT_FIXED_BYTES +
    CHECKPOINT_LISTS_BYTES +
    POWER_LOSS_BYTES +
    2 +
    Buffer.byteLength(clusterId) +
    checkpointOpenBytes(lastOpen)
  const parts: Part[] = []
  let bytes = 0
  const room = (more: number): Part => {
    const last = parts[parts.length - 1]
    if (last !== undefined && bytes + more <= maxPartBytes) {
      bytes += more
      return last
    }
    bytes = emptyBytes + more
    const part = { clusterId, identities: [], incarnations: [], streams: [], settled: [], lastOpen }
    parts.push(part)
    return part
  }
  room(0)
  for (const identity of tables.identities) room(checkpointIdentityBytes(identity)).identities.push(identity)
  for (const incarnation of tables.incarnations) {
    room(INCARNATION_BYTES + POWER_LOSS_BYTES).incarnations.push(incarnation)
  }
  for (const stream of tables.streams) room(checkpointStreamBytes(stream)).streams.push(stream)
  for (const range of tables.settled) room(SETTLED_BYTES).settled.push(range)
  return parts
}
