/** A handler for loop processes: says who it is, and does as it is told. */
import type { Handler, Protocol } from '../../../../lib/net/index.js'

/** Lines. */
export const protocol: Protocol<undefined, string, string> = {
  unpack(_, ring) {
    const end = ring.indexOf(10)
    if (end < 0) return undefined
    const data = ring.takeString(end)
    ring.retrieve(1)
    return { ctx: undefined, data }
  },
  pack: (_, data) => Buffer.from(`${data}\n`),
}

const handler: Handler<undefined, string, string> = {
  onMessage(_c, _ctx, data) {
    if (data === 'pid') return String(process.pid)
    if (data === 'die') process.kill(process.pid, 'SIGKILL')
    if (data === 'throw') throw new Error('as it was told')
    return data
  },
}
export default handler
