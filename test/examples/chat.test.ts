/** The chat example as a user of its page meets it: over HTTP, on the in-process broker. */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { chatGateway } from '../../examples/chat/gateway.js'
import { ChatService, TOPIC } from '../../examples/chat/service.js'
import { chatServer } from '../../examples/chat/web.js'
import { createBroker } from '../../lib/broker/index.js'
import { murmur2 } from '../../lib/index.js'
import { ROOT } from '../docs/markdown.js'

async function chat() {
  const broker = await createBroker()
  const service = new ChatService(broker.bootstrap)
  await service.start()
  const web = chatServer(service).listen(0, '127.0.0.1')
  await once(web, 'listening')
  onTestFinished(async () => {
    web.closeAllConnections()
    web.close()
    await service.close()
    await broker.close()
  })
  const base = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
  const post = (body: unknown) =>
    fetch(`${base}/messages`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) })
  return { broker, service, base, post }
}

/** The messages of a stream of server-sent events, as they come. */
async function* events(url: string, signal: AbortSignal): AsyncGenerator<{ content: string }> {
  const response = await fetch(url, { signal })
  let text = ''
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString()
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      yield JSON.parse(text.slice('data: '.length, end)) as { content: string }
      text = text.slice(end + 2)
    }
  }
}

describe('examples/chat', () => {
  it('EX-1: a message posted by one person reaches the page of the other, with key and headers', async () => {
    const { broker, base, post } = await chat()
    const abort = new AbortController()
    onTestFinished(() => abort.abort())
    const stream = events(`${base}/events?user=bob`, abort.signal)
    const answer = await post({ from_user: 'alice', to_user: 'bob', content: 'hello <b>bob</b>' })
    expect(answer.status).toBe(201)
    const { partition, offset } = (await answer.json()) as { partition: number; offset: number }
    expect([partition, offset]).toEqual([(murmur2(Buffer.from('bob')) & 0x7fffffff) % 3, 0])
    expect((await stream.next()).value).toMatchObject({
      from_user: 'alice',
      to_user: 'bob',
      content: 'hello <b>bob</b>',
      message_type: 'text',
    })
    const [stored] = await broker.records(TOPIC, partition)
    expect(String(stored?.key)).toBe('bob')
    const headers = stored?.headers.map(([name, value]) => [name, String(value)])
    expect(headers).toEqual([
      ['message_type', 'text'],
      ['from_user', 'alice'],
    ])
    expect(broker.log(TOPIC, 0)).toBeDefined()
    const kept = await (await fetch(`${base}/messages?user=bob`)).json()
    expect(kept).toHaveLength(1)
  })

  it('EX-1: the topic has three partitions and keeps messages for seven days', async () => {
    const { service } = await chat()
    expect((await service.mq.admin.getTopicMetadata(TOPIC)).partitions).toHaveLength(3)
    const [result] = await service.mq.admin.describeConfigs([{ type: 'topic', name: TOPIC, keys: ['retention.ms'] }])
    expect(result?.entries?.find(({ name }) => name === 'retention.ms')?.value).toBe('604800000')
  })

  it.each([
    ['', 400],
    ['{', 400],
    ['[]', 400],
    [{ from_user: 'a', to_user: 'b' }, 400],
    [{ from_user: 'a', to_user: '', content: 'x' }, 400],
    [{ from_user: 'a', to_user: 'b', content: 7 }, 400],
    [{ from_user: 'a', to_user: 'b', content: 'x'.repeat(20_000) }, 400],
  ])('EX-1: refuses %j', async (body, status) => {
    const { service, post } = await chat()
    const answer = await post(body)
    expect(answer.status).toBe(status)
    expect(((await answer.json()) as { error: string }).error).not.toBe('')
    expect(service.mq.getMetrics().producer.totalMessages).toBe(0)
  })

  it('EX-1: its gateway serves the page, the client and the dashboard, to those who say a name', async () => {
    const { service } = await chat()
    const gateway = chatGateway(service)
    await gateway.start()
    const page = `http://127.0.0.1:${gateway.addresses.websocket?.port}`
    expect(await (await fetch(page)).text()).toContain('<title>tandem-mq chat</title>')
    for (const path of [
      '/chat.js',
      '/chat.css',
      '/icon.svg',
      '/tandem-mq.js',
      '/tandem-mq-link.js',
      '/dashboard.css',
    ]) {
      expect([path, (await fetch(page + path)).status]).toEqual([path, 200])
    }
    expect((await fetch(`${page}/dashboard`)).status).toBe(401)
    expect((await fetch(`${page}/dashboard?token=alice`)).status).toBe(200)
    expect((await fetch(`${page}/service.ts`)).status).toBe(404)
  })

  it('EX-1: serves metrics and health beside the messages, and 404 elsewhere', async () => {
    const { base } = await chat()
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('tandem_mq_consumer_records_total 0')
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
    expect((await fetch(`${base}/nothing`)).status).toBe(404)
  })
})

describe('examples', () => {
  it('EX-3: has every recipe; scripts/ci/examples.mjs runs each, on both brokers', () => {
    const files = readdirSync(join(ROOT, 'examples'))
    const recipes = ['admin', 'batch-consume', 'byte-channel', 'config-merge', 'debug', 'fan-out', 'graceful-shutdown']
    for (const name of [...recipes, 'metrics-dashboard', 'migration', 'retries-dead-letters']) {
      expect(files).toContain(`${name}.ts`)
    }
  })
})
