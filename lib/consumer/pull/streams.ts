/**
 * Pulled records as streams of the web and of Node.
 * Why no queue of their own (highWaterMark 0): a record that waits in a stream was handed out, but nobody has worked on
 * it. So a stream asks for the next record only when somebody wants it, and that is when the one before counts.
 * Node: with 0, `read()` on an empty stream asks, and the flowing mode asks after each `data` event; nothing else does.
 */
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import type { AnyRecord } from '../cursor.js'
import type { RecordIterator } from './record-iterator.js'

export function webStreamOf(records: RecordIterator): ReadableStream<AnyRecord> {
  let isCancelled = false
  return new ReadableStream<AnyRecord>(
    {
      async pull(controller) {
        const { done, value } = await records.next()
        if (isCancelled) return
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        isCancelled = true
        await records.return()
      },
    },
    { highWaterMark: 0 },
  )
}

export function nodeStreamOf(records: RecordIterator): Readable {
  return new Readable({
    objectMode: true,
    highWaterMark: 0,
    read() {
      records.next().then(
        ({ done, value }) => {
          if (!this.destroyed) this.push(done === true ? null : value)
        },
        (error: Error) => this.destroy(error),
      )
    },
    destroy(error, callback) {
      records.return().then(() => callback(error), callback)
    },
  })
}
