/** GW-1: every publish gets exactly one ack or error; what a client sent once is in Kafka at most once, whatever happens to it. */
import { expect, it } from 'vitest'
import { MQError } from '../../lib/errors/index.js'
import { randomInt, seededRandom } from '../../lib/util/index.js'
import { type Stage, stage, TcpClient, WebSocketClient } from './support.js'

type AnyClient = TcpClient | WebSocketClient

const PUBLISHES = 60
const seeds = process.env.SEED === undefined ? [1, 2, 3, 4, 5, 6, 7, 8] : [Number(process.env.SEED)]

function failure(): MQError {
  return new MQError('PRODUCE_FAILED', 'the broker said no', { persistence: 'possibly-persisted' })
}

async function story(at: Stage, seed: number): Promise<{ clients: AnyClient[]; quitters: Set<AnyClient> }> {
  const random = seededRandom(seed)
  const clients: AnyClient[] = Array.from({ length: 4 }, (_, index) =>
    index % 2 === 0 ? new TcpClient(at.tcpPort, `c${index}`) : new WebSocketClient(at.httpPort, { token: `c${index}` }),
  )
  const quitters = new Set<AnyClient>()
  const open = new Set<number>()
  let known = 0
  for (const client of clients) await client.hears(1)
  for (let id = 0; id < PUBLISHES; id++) {
    for (const [index, client] of clients.entries()) {
      if (quitters.has(client)) continue
      client.send({ type: 'publish', id, topic: 'chat-x', value: `${index}:${id}` })
      if (index > 1 && randomInt(random, PUBLISHES) === 0) {
        quitters.add(client)
        client.destroy()
      }
    }
    await new Promise(setImmediate)
    for (; known < at.backend.published.length; known++) open.add(known)
    // Some of them are answered, in any order.
    for (const index of [...open]) {
      const fate = randomInt(random, 4)
      if (fate > 1) continue
      open.delete(index)
      if (fate === 0) at.backend.acknowledge(index)
      else at.backend.published[index]?.answer.reject(failure())
    }
  }
  at.backend.isHeld = false
  for (const index of open) at.backend.acknowledge(index)
  for (; known < at.backend.published.length; known++) at.backend.acknowledge(known)
  return { clients, quitters }
}

it.each(seeds)('GW-1: no answer is missing or doubled, no record is published twice (seed %i)', async (seed) => {
  const at = await stage({ maxInFlight: 7 })
  at.backend.isHeld = true
  const { clients, quitters } = await story(at, seed)
  const replay = `seed ${seed}: SEED=${seed} npx vitest run test/gateway/conservation.test.ts`
  for (const [index, client] of clients.entries()) {
    if (!quitters.has(client)) await client.hears(1 + PUBLISHES)
    const ids = client.said.slice(1).map(({ id }) => id)
    expect(new Set(ids).size, `client ${index}: an answer came twice; ${replay}`).toBe(ids.length)
    if (!quitters.has(client)) expect(ids, `client ${index}: an answer is missing; ${replay}`).toHaveLength(PUBLISHES)
    const sent = at.backend.published.filter(({ value }) => value?.startsWith(`${index}:`)).map(({ value }) => value)
    expect(new Set(sent).size, `client ${index}: published twice; ${replay}`).toBe(sent.length)
    expect(sent, `client ${index}: published out of order; ${replay}`).toEqual(
      sent.map((_, position) => `${index}:${position}`),
    )
    const acknowledged = client.said.filter(({ type }) => type === 'ack')
    for (const { id, offset } of acknowledged) {
      expect(at.backend.published[offset as number]?.value, replay).toBe(`${index}:${id as number}`)
    }
  }
  await at.gateway.stop()
  expect(at.gateway.measures().unacknowledged).toBe(0)
  expect(at.errors).toEqual([])
})
