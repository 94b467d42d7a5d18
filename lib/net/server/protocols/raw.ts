/**
 * No protocol: what came is a message. The default of a server. NT-4.
 * Why everything at once: a stream has no messages of its own, so the fewest and largest pieces are the best ones.
 * Invariant: the concatenated messages are the stream.
 */
import type { Packed, Protocol, Unpacked } from '../types.js'

/** Bytes as they come; strings are sent as UTF-8. `data` belongs to the handler. */
export function rawProtocol(): Protocol<undefined, Buffer, Uint8Array | string> {
  return raw
}

/** It has no options and no state, so one serves all. */
const raw: Protocol<undefined, Buffer, Uint8Array | string> = {
  unpack(_, ring): Unpacked<undefined, Buffer> | undefined {
    return ring.isEmpty ? undefined : { ctx: undefined, data: ring.takeAll() }
  },
  pack(_, data): Packed {
    return typeof data === 'string' ? Buffer.from(data) : data
  },
}
