/**
 * TCP clients on the reactor: frames behind a length of four bytes; the first byte says JSON or protobuf. GW-1.
 * Invariant: whatever ends a connection from our side, its client reads why, as an `error` frame.
 */
import { type Connection, type Handler, lengthPrefixedProtocol, type Protocol } from '../net/index.js'
import { formatOf } from './frames/decode.js'
import type { Session } from './session.js'

export type TcpProtocol = Protocol<undefined, Buffer, Uint8Array | string>
export type TcpHandler = Handler<undefined, Buffer, Uint8Array | string>
type TcpConnection = Connection<undefined, Buffer, Uint8Array | string>

export function tcpProtocol(maxFrameBytes: number): TcpProtocol {
  const framing = lengthPrefixedProtocol({ maxFrameBytes })
  return {
    unpack: (c, ring) => framing.unpack(c, ring),
    pack: (c, data) => framing.pack(c, data),
    farewell: (c, error) => {
      const session = sessionOf(c)
      return error === null || session === undefined ? undefined : session.farewell(error)
    },
  }
}

export interface SessionKeeper {
  open(c: TcpConnection): Session
  closed(session: Session, error: Error | null): void
}

export function tcpHandler(keeper: SessionKeeper): TcpHandler {
  return {
    onConnect: (c) => {
      const session = keeper.open(c)
      c.context = session
      session.begin()
    },
    onMessage: (c, _, data) => sessionOf(c)?.received(data, formatOf(data)),
    onDrain: (c) => sessionOf(c)?.drained(),
    onClose: (c, error) => {
      const session = sessionOf(c)
      if (session !== undefined) keeper.closed(session, error)
    },
  }
}

function sessionOf(c: TcpConnection): Session | undefined {
  return c.context as Session | undefined
}
