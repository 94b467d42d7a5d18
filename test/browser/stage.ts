/** A gateway over the in-process broker, behind a wire that can be cut, and a Chromium to look at it. */
import { execFileSync } from 'node:child_process'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import type { GatewayOptions } from '../../lib/gateway/index.js'
import { MQ } from '../../lib/index.js'

export const CHAT_PAGES = fileURLToPath(new URL('../../examples/chat/page/', import.meta.url))

/** The path of a Chromium, or undefined: then these tests are skipped, which the run shows. */
export function chromiumPath(): string | undefined {
  const given = process.env.CHROMIUM
  if (given !== undefined && given !== '') return given
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    } catch {
      // Not under this name.
    }
  }
  return undefined
}

export function launch(): Promise<Browser> {
  // As root, in a container, Chromium's own sandbox cannot be made.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath: chromiumPath() as string, args: [...args, '--disable-gpu'] })
}

/** A relay that a browser goes through: its address stays while what is behind it comes and goes. */
export class Relay {
  targetPort = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor() {
    this.#server = createServer((from) => {
      const to = connect(this.targetPort, '127.0.0.1')
      for (const [socket, other] of [[from, to] as const, [to, from] as const]) {
        this.#sockets.add(socket)
        socket.on('error', () => other.destroy()) // a cut: the other side hears of it
        socket.on('close', () => {
          this.#sockets.delete(socket)
          other.destroy()
        })
        socket.pipe(other)
      }
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`
  }

  /** In the middle of whatever is under way, without a goodbye. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }
}

const RULES = { publish: ['chat-*', 'numbers'], subscribe: ['chat-*', 'numbers'], stats: true }

export async function gatewayStage(options: Partial<GatewayOptions> = {}) {
  const broker = await createBroker()
  const mq = new MQ({ brokers: broker.bootstrap, clientId: 'browser-test', consumer: { groupId: 'browser-test' } })
  for (const name of ['chat-messages', 'numbers']) await mq.admin.createTopic({ name, partitions: 3 })
  const relay = new Relay()
  const address = await relay.listen()
  const start = async () => {
    const gateway = mq.gateway({
      websocket: '127.0.0.1:0',
      authenticate: ({ token }) => (token === undefined ? null : { name: token, ...RULES }),
      origins: [address],
      pages: CHAT_PAGES,
      dashboard: true,
      ...options,
    })
    await gateway.start()
    relay.targetPort = (gateway.addresses.websocket as { port: number }).port
    return gateway
  }
  let gateway = await start()
  const restart = async () => {
    await gateway.stop()
    gateway = await start()
  }
  onTestFinished(async () => {
    relay.close()
    await gateway.stop()
    await mq.close()
    await broker.close()
  })
  return { address, broker, mq, relay, restart }
}

/** A page whose complaints are collected: what the console calls an error, and what nobody caught. */
export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  onTestFinished(() => context.close())
  await page.goto(url)
  return { page, complaints }
}

export async function signIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Your name').fill(name)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('#state[data-state="open"]').waitFor()
}
