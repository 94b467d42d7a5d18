/** NT-6: what waits in the ring is looked at again when that which held it back has left, also without a further byte. */
import { expect, it } from 'vitest'
import { deferred } from '../../../lib/util/index.js'
import { client, frame, framed } from './support.js'

it('NT-6: a message that waited for room in the write buffer is handled when the answer before it has left', async () => {
  const second = deferred<string>()
  const { port } = await framed(
    {
      onMessage: (c, _, data) => {
        if (data.toString() === 'second') return second.resolve('handled')
        c.pause()
        // In a turn of its own: over the limit with one answer, and resumed before it was written.
        setImmediate(() => {
          c.send(Buffer.from('an answer'))
          c.resume()
        })
      },
    },
    { writeBufferBytes: 1 },
  )
  const peer = await client(port)
  peer.socket.write(Buffer.concat([frame('first'), frame('second')]))
  expect(await second.promise).toBe('handled')
})
