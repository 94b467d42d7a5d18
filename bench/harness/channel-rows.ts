/**
 * The rows of the channel's table: what is measured, under which name, against which goal.
 * Rows of one group are alive at the same time and measured in turn, so that they meet the same machine.
 * Goals are what the originals published for comparable work, on their hardware (features.md 8); where there is none, null.
 */
import type { ChannelCase, ReadApi, ReadMode } from './channel-job.js'

export interface ChannelRow {
  readonly name: string
  readonly group: string
  readonly what: ChannelCase
  /** What the row is about. 'wakeUp': microseconds, P50 and P99. */
  readonly figure: 'time' | 'heap' | 'wakeUp'
  /** ns, or bytes, per call: at most. */
  readonly goal: number | null
  readonly payload: string
  readonly copies: string
  readonly reader: string
}

/** Two rows of one group, round by round. */
export interface Comparison {
  readonly name: string
  readonly of: string
  readonly to: string
  /** At most so much more CPU time. Percent. */
  readonly goalPercent: number | null
}

const KIB = 1024
const MIB = 1024 * KIB

const sizeOf = (bytes: number): string =>
  bytes >= MIB ? `${bytes / MIB} MiB` : bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`

function writeRow(payloadBytes: number, copies: boolean, goal: number | null): ChannelRow {
  const how = copies ? 'with copy' : 'by reference'
  return {
    name: `write ${how}, ${sizeOf(payloadBytes)}`,
    group: 'write',
    what: { kind: 'write', payloadBytes, copies },
    figure: 'time',
    goal,
    payload: `${sizeOf(payloadBytes)}, one shared buffer`,
    copies: copies ? 'one, into an arena' : 'none',
    reader: 'none, oldest buffers dropped',
  }
}

function encodeRow(payloadBytes: number, codec: 'none' | 'lz4'): ChannelRow {
  const how = codec === 'none' ? 'encode + CRC' : 'encode + lz4 + CRC'
  return {
    name: `write ${how}, ${sizeOf(payloadBytes)}`,
    group: 'encode',
    what: { kind: 'encode', payloadBytes, codec },
    figure: 'time',
    goal: null,
    payload: `${sizeOf(payloadBytes)}, 16,384 different texts`,
    copies: codec === 'none' ? 'one, as a record of a 64 KiB batch' : 'two, the second compressed',
    reader: 'none, batches recycled',
  }
}

const MECHANISM: ChannelRow = {
  name: 'wrote() alone',
  group: 'encode',
  what: { kind: 'mechanism' },
  figure: 'time',
  goal: null,
  payload: 'none',
  copies: 'none',
  reader: 'none, buffers recycled',
}

const HOW_READ: { readonly [K in ReadApi]: string } = {
  tryRead: 'tryRead()',
  read: 'await read()',
  readBatch: 'readBatch(1000)',
  onData: 'onData(callback)',
  forAwait: 'for await',
}

function readRow(payloadBytes: number, mode: ReadMode, api: ReadApi, goal: number | null, group = 'read'): ChannelRow {
  const isReference = payloadBytes >= 64 * KIB
  const isCopied = mode === 'safe' && payloadBytes < KIB
  return {
    name: `write + ${HOW_READ[api]}, ${sizeOf(payloadBytes)}, ${mode}${group === 'read' ? '' : ', same thread'}`,
    group,
    what: { kind: 'writeRead', payloadBytes, mode, api },
    figure: 'time',
    goal,
    payload: isReference ? `${sizeOf(payloadBytes)}, 61 in turn` : `${sizeOf(payloadBytes)}, a counter in each`,
    copies: isReference ? 'none' : isCopied ? 'two, in and out' : 'one, on writing',
    reader: `one, same thread, ${HOW_READ[api]}, released`,
  }
}

function itemsRow(by: 'item' | 'batch'): ChannelRow {
  return {
    name: `ItemChannel write + ${by === 'item' ? 'tryRead()' : 'take()'}`,
    group: 'read',
    what: { kind: 'items', by },
    figure: 'time',
    goal: null,
    payload: 'an object',
    copies: 'none',
    reader: by === 'item' ? 'one, same thread' : 'one, same thread, 1,000 at a time',
  }
}

function metricsRow(mode: 'off' | 'on' | 'perRecord'): ChannelRow {
  const how = { off: 'off', on: 'on', perRecord: 'per record' }[mode]
  return {
    name: `line + write + read, metrics ${how}`,
    group: 'metrics',
    what: { kind: 'metrics', mode },
    figure: 'time',
    goal: null,
    payload: '67 B, a text built and encoded',
    copies: 'none after encoding',
    reader: 'one, same thread, delivered counted',
  }
}

function threadRow(payloadBytes: number): ChannelRow {
  return {
    name: `write + read on another thread, ${sizeOf(payloadBytes)}`,
    group: 'threads',
    what: { kind: 'thread', payloadBytes },
    figure: 'time',
    goal: null,
    payload: `${sizeOf(payloadBytes)}, a counter in each`,
    copies: 'two, into the ring and out',
    reader: 'one, worker_threads, shared ring of 1 MiB',
  }
}

const WAKE_UP: ChannelRow = {
  name: 'wake-up of an idle thread',
  group: 'threads',
  what: { kind: 'wakeUp' },
  figure: 'wakeUp',
  goal: null,
  payload: '8 B, the time of writing',
  copies: 'two, into the ring and out',
  reader: 'one, worker_threads, asleep',
}

function heapRow(copies: boolean): ChannelRow {
  return {
    ...writeRow(128, copies, 1),
    name: `heap per write ${copies ? 'with copy' : 'by reference'}, 128 B`,
    group: 'heap',
    figure: 'heap',
  }
}

export const CHANNEL_ROWS: readonly ChannelRow[] = [
  writeRow(128, false, 139),
  writeRow(KIB, false, 161),
  writeRow(64 * KIB, false, 167),
  writeRow(MIB, false, 179),
  ...[128, KIB, 64 * KIB].map((bytes) => writeRow(bytes, true, null)),
  MECHANISM,
  ...[128, KIB].flatMap((bytes) => [encodeRow(bytes, 'none'), encodeRow(bytes, 'lz4')]),
  readRow(128, 'zeroCopy', 'tryRead', 285),
  readRow(128, 'safe', 'tryRead', 335),
  readRow(64 * KIB, 'zeroCopy', 'tryRead', 129.5),
  readRow(64 * KIB, 'safe', 'tryRead', 124.2),
  ...(['read', 'readBatch', 'onData', 'forAwait'] as const).map((api) => readRow(128, 'safe', api, null)),
  itemsRow('item'),
  itemsRow('batch'),
  metricsRow('off'),
  metricsRow('on'),
  metricsRow('perRecord'),
  threadRow(128),
  readRow(128, 'safe', 'tryRead', null, 'threads'),
  threadRow(KIB),
  readRow(KIB, 'safe', 'tryRead', null, 'threads'),
  WAKE_UP,
  heapRow(false),
  heapRow(true),
]

const nameOf = (kind: ChannelCase['kind'], test: (row: ChannelRow) => boolean): string =>
  CHANNEL_ROWS.find((row) => row.what.kind === kind && test(row))?.name ?? ''
const metricsName = (mode: string) => nameOf('metrics', ({ what }) => 'mode' in what && what.mode === mode)
const sized = (bytes: number) => (row: ChannelRow) =>
  row.group === 'threads' && 'payloadBytes' in row.what && row.what.payloadBytes === bytes

export const COMPARISONS: readonly Comparison[] = [
  { name: 'metrics on, over off', of: metricsName('on'), to: metricsName('off'), goalPercent: 5 },
  { name: 'metrics per record, over off', of: metricsName('perRecord'), to: metricsName('off'), goalPercent: null },
  ...[128, KIB].map((bytes) => ({
    name: `another thread, over the same, ${sizeOf(bytes)}`,
    of: nameOf('thread', sized(bytes)),
    to: nameOf('writeRead', sized(bytes)),
    goalPercent: null,
  })),
]
