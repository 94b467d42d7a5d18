/** How a channel of a setup is made; mutants are made in its place. */
import {
  type ArenaPool,
  type BufferedChannel,
  ByteChannel,
  type ByteChannelOptions,
  type EvictPolicy,
  type ItemBuffer,
  ItemChannel,
  type ItemChannelOptions,
  type WaitOptions,
} from '../../../lib/channel/index.js'
import type { Rec } from './model-types.js'
import type { Setup } from './setup.js'

export type Options = ByteChannelOptions & ItemChannelOptions<Rec>

/** Both kinds, as far as the player needs to know. */
export type AnyChannel = Pick<
  BufferedChannel<never, unknown>,
  | 'on'
  | 'ready'
  | 'seal'
  | 'updateConfig'
  | 'stats'
  | 'counters'
  | 'tryRead'
  | 'read'
  | 'readBatch'
  | 'onData'
  | 'register'
  | 'close'
  | 'state'
  | 'configVersion'
  | 'pendingRecords'
  | 'usedBytes'
> & {
  write(item: unknown): boolean
  writeAsync(item: unknown, options?: WaitOptions): Promise<boolean>
}

export type BatchChannel = ItemChannel<Rec> & { take(): ItemBuffer<Rec> | undefined }

export type MakeChannel = (setup: Setup, options: Options) => AnyChannel

export const makeChannel: MakeChannel = ({ kind }, options) =>
  (kind === 'bytes' ? new ByteChannel(options) : new ItemChannel<Rec>(options)) as unknown as AnyChannel

const NO: EvictPolicy = {
  name: 'no',
  shouldEvict: () => false,
  evict: () => 0,
  metrics: () => ({ asked: 0, refused: 0, evictedRecords: 0 }),
}
const TWO: EvictPolicy = { ...NO, name: 'two', shouldEvict: () => true, evict: () => 2 }

export function optionsFor(setup: Setup, arenas: ArenaPool): Options {
  const { limits, policy, kind, hasSizes } = setup
  return {
    ...(kind === 'bytes' ? { arenas, readMode: setup.readMode, copyOnWrite: setup.copyOnWrite } : {}),
    onFull: setup.onFull,
    maxSpares: setup.maxSpares,
    bufferMemoryBytes: limits.bytes,
    bufferMaxRecords: limits.records,
    softPercent: limits.softPercent,
    resumePercent: limits.resumePercent,
    hardPercent: limits.hardPercent,
    ...(policy === 'water-mark' ? {} : { evictPolicy: policy === 'no' ? NO : TWO }),
    ...(kind !== 'bytes' && hasSizes ? { sizeOf: ({ bytes }: Rec) => bytes } : {}),
  }
}
