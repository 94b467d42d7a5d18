/**
 * The shape of a batch's header after reading, for every magic.
 * Timestamps are not refused when they exceed the safe integers, as offsets are: brokers store what a confused writer
 * sent (nanoseconds, say), and one such record must not make the rest of its partition unreadable.
 */

/** What stands in front of a batch's records. One shape for all magics; what a magic lacks is -1, 0 or false. */
export interface BatchHeader {
  /** Where the batch starts in the bytes it was read from, and its length there. */
  readonly position: number
  readonly sizeInBytes: number
  readonly magic: 0 | 1 | 2
  /** For a compressed magic 0 or 1 message the offset of its last record: the first is known after decompressing. */
  readonly baseOffset: number
  readonly lastOffsetDelta: number
  /** The position of a reader that is done with this batch, also when the cleaner has emptied it. */
  readonly nextOffset: number
  readonly partitionLeaderEpoch: number
  /** Unsigned: CRC-32C for magic 2, CRC-32 for older ones. */
  readonly crc: number
  readonly attributes: number
  /** 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd. */
  readonly codecId: number
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
  /** `baseTimestamp` is then the time from which the cleaner may remove the batch; record times need nothing more. */
  readonly hasDeleteHorizon: boolean
  /** Milliseconds; beyond +-2^53 the nearest double, and the exact value is in the next two. */
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  /** Null while the number above is exact. */
  readonly exactBaseTimestamp: bigint | null
  readonly exactMaxTimestamp: bigint | null
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
  /** Records; -1 for magic 0 and 1, where only the content tells. */
  readonly count: number
  /** Where the records (or the compressed block of them) start and end in the bytes. */
  readonly payloadAt: number
  readonly payloadEnd: number
  /** Whether CRCs were compared; compressed magic 0 and 1 messages have further ones inside. */
  readonly isCrcChecked: boolean
}

/** Undoes the codec of a batch; the consumer passes the codec room in. `magic` 0 wants leniency about lz4 headers. */
export type Decompress = (codecId: number, payload: Uint8Array, magic: number) => Uint8Array | Promise<Uint8Array>
