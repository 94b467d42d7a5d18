/** A page that publishes and reads numbers, and remembers everything it was told. The tests call it. */
import { connect } from '/tandem-mq.js'

const RETRY = { minRetryMs: 50 }
/** Publishes between two pauses, so that a cut comes in the middle. */
const BURST = 20
const PAUSE_MS = 20

/** @type {{ seen: number[], gaps: unknown[], states: string[] }} */
const read = { seen: [], gaps: [], states: [] }

/** Reads the topic `numbers` from its beginning; resolves when it is subscribed. */
async function reader() {
  const client = connect('/mq', { ...RETRY, token: 'reader', onState: ({ state }) => read.states.push(state) })
  await client.subscribe(['numbers'], { from: 'earliest', onGap: (gap) => read.gaps.push(gap) }, ({ value }) =>
    read.seen.push(Number(value)),
  )
}

/**
 * Publishes 1 to `last` with one key, so that they are in order; resolves with how each ended.
 * @param {number} last
 */
async function writer(last) {
  const client = connect('/mq', { ...RETRY, token: 'writer', maxQueued: last })
  /** @type {Record<'stored' | 'possibly-persisted' | 'not-persisted', number[]>} */
  const fates = { stored: [], 'possibly-persisted': [], 'not-persisted': [] }
  /** @type {Promise<unknown>[]} */
  const underway = []
  for (let n = 1; n <= last; n++) {
    const published = client.publish('numbers', String(n), { key: 'k' })
    underway.push(
      published.then(
        () => fates.stored.push(n),
        (/** @type {import('/tandem-mq.js').GatewayError} */ { persisted }) => fates[persisted].push(n),
      ),
    )
    if (n % BURST === 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  await Promise.all(underway)
  client.close()
  return fates
}

Object.assign(globalThis, { numbers: { read, reader, writer } })
