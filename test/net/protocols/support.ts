import { RingBuffer } from '../../../lib/net/server/ring-buffer.js'
import type { Connection, Packed, Protocol } from '../../../lib/net/server/types.js'

export interface Message<Ctx, In> {
  readonly ctx: Ctx
  readonly data: In
}

/** As much of a connection as protocols touch. */
export function connectionFor<Ctx, In, Out>(): Connection<Ctx, In, Out> {
  return { protocolState: undefined } as Connection<Ctx, In, Out>
}

export function bytesOf(packed: Packed): Buffer {
  return packed instanceof Uint8Array ? Buffer.from(packed) : Buffer.concat(packed)
}

/** What a server does with the chunks of one socket. An empty message must not end the loop (trap 21). */
export function unpackAll<Ctx, In, Out>(
  protocol: Protocol<Ctx, In, Out>,
  chunks: readonly Uint8Array[],
  ring = new RingBuffer(),
): Message<Ctx, In>[] {
  const c = connectionFor<Ctx, In, Out>()
  const messages: Message<Ctx, In>[] = []
  for (const chunk of chunks) {
    ring.withData(chunk)
    for (let next = protocol.unpack(c, ring); next !== undefined; next = protocol.unpack(c, ring)) messages.push(next)
    ring.keep()
  }
  return messages
}

/** `stream` in chunks of their own memory, cut at `cuts`. */
export function cutAt(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const borders = [0, ...[...cuts].sort((a, b) => a - b).filter((at) => at > 0 && at < stream.length), stream.length]
  return borders.slice(1).map((end, index) => Uint8Array.from(stream.subarray(borders[index], end)))
}
