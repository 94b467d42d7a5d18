/** The measured process of the gateway's benchmark: an instance with a gateway, and nothing else. */

import type { Gateway } from '../../lib/gateway/index.js'
import { MQ } from '../../lib/index.js'
import type { GatewayFigures, GatewayStarted, ToGateway } from './gateway-job.js'

const LOOK_MS = 20
const MOST_TROUBLES = 20

let gateway: Gateway | null = null
let peakRssBytes = 0
const troubles: string[] = []

process.on('message', (message: ToGateway) => {
  answer(message).then(
    (said) => process.send?.(said),
    (error: unknown) => fail(error),
  )
})
process.on('disconnect', () => process.exit(0))
setInterval(look, LOOK_MS)

async function answer(message: ToGateway): Promise<GatewayStarted | GatewayFigures> {
  if (message.kind === 'start') return start(message)
  if (message.kind === 'begin') peakRssBytes = 0
  return figures()
}

async function start({ brokers, wire, ...limits }: ToGateway & { kind: 'start' }): Promise<GatewayStarted> {
  const mq = new MQ({ brokers: brokers.join(',') })
  mq.on('error', (error) => note(error.message))
  mq.on('warning', ({ message }) => note(message))
  const { cacheBytes, writeBufferBytes } = limits
  gateway = mq.gateway({ [wire]: '127.0.0.1:0', anonymous: { subscribe: ['*'] }, cacheBytes, writeBufferBytes })
  await gateway.start()
  return { port: gateway.addresses[wire]?.port ?? 0 }
}

function note(text: string): void {
  if (troubles.length < MOST_TROUBLES) troubles.push(text)
}

function look(): void {
  peakRssBytes = Math.max(peakRssBytes, process.memoryUsage.rss())
}

function figures(): GatewayFigures {
  look()
  const { user, system } = process.cpuUsage()
  const dropped = gateway?.readings().gateway_dropped_total ?? 0
  return { cpuMicroseconds: user + system, rssBytes: process.memoryUsage.rss(), peakRssBytes, dropped, troubles }
}

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}
