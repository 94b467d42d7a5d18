/**
 * Kafka's framing: int32 size, then a request or a response. NT-5; kafka.md W-7.
 * Why an alias: the size is never negative, so below 2 GiB an int32 is the uint32 of length-prefixed frames, and a negative
 * one reads as a size above every limit, which is what it is.
 */
import type { Protocol } from '../types.js'
import { checkWhole, MAX_FRAME_BYTES } from './frames.js'
import { lengthPrefixedProtocol } from './length-prefixed.js'

export interface KafkaFramingOptions {
  /** Longest frame without its size. Default 100 MiB (socket.request.max.bytes), at most 2 GiB - 1. */
  readonly maxFrameBytes?: number
}

/** Frames as Kafka speaks them; what is in them is the handler's. Throws and closes as `lengthPrefixedProtocol`. */
export function kafkaProtocol(options: KafkaFramingOptions = {}): Protocol<undefined, Buffer, Uint8Array | string> {
  const maxFrameBytes = checkWhole('maxFrameBytes', options.maxFrameBytes ?? MAX_FRAME_BYTES, 1, 0x7fffffff)
  return lengthPrefixedProtocol({ maxFrameBytes })
}
