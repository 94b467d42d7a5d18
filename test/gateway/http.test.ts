/** What HTTP serves beside the upgrade: health, the client module, the dashboard, pages; and what it never gives. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Gateway } from '../../lib/gateway/index.js'
import { FakeBackend, FakeFeeds, OPEN_DOOR, stage, WebSocketClient } from './support.js'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The path goes out as it is written. */
function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, headers, method, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8')
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** pages/ with files in it, and a secret beside it. */
function folder(): string {
  const root = mkdtempSync(join(tmpdir(), 'gateway-pages-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const pages = join(root, 'pages')
  mkdirSync(join(pages, 'sub', '.git'), { recursive: true })
  writeFileSync(join(root, 'secret.txt'), 'secret')
  writeFileSync(join(pages, 'index.html'), '<h1>chat</h1>')
  writeFileSync(join(pages, 'a b.css'), 'b {}')
  writeFileSync(join(pages, 'empty.txt'), '')
  writeFileSync(join(pages, '.env'), 'secret')
  writeFileSync(join(pages, 'sub', 'index.html'), 'sub')
  writeFileSync(join(pages, 'sub', '.git', 'config'), 'secret')
  writeFileSync(join(pages, 'tandem-mq.js'), 'secret: not ours')
  symlinkSync(join(root, 'secret.txt'), join(pages, 'link.txt'))
  symlinkSync(root, join(pages, 'up'))
  return pages
}

describe('pages', () => {
  const SERVED: readonly [string, number, string, string?][] = [
    ['/', 200, '<h1>chat</h1>', 'text/html; charset=utf-8'],
    ['/index.html?x=1', 200, '<h1>chat</h1>', 'text/html; charset=utf-8'],
    ['/a%20b.css', 200, 'b {}', 'text/css; charset=utf-8'],
    ['/empty.txt', 200, '', 'text/plain; charset=utf-8'],
    ['/sub/', 200, 'sub', 'text/html; charset=utf-8'],
    ['/sub', 404, 'not found\n'],
    ['/none', 404, 'not found\n'],
    ['/index.html/', 404, 'not found\n'],
  ]
  it.each(SERVED)('GW-1: %s is %i', async (path, status, body, type) => {
    const at = await stage({ pages: folder() })
    const answer = await ask(at.httpPort, path)
    expect([answer.status, answer.body]).toEqual([status, body])
    if (type !== undefined) expect(answer.headers['content-type']).toBe(type)
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
  })

  const REFUSED = [
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/sub/../../secret.txt',
    '//etc/passwd',
    '/..\\secret.txt',
    '/%5c..%5csecret.txt',
    '/link.txt',
    '/up/secret.txt',
    '/.env',
    '/sub/.git/config',
    '/index.html%00.txt',
    '/%ff',
    '/%',
    `/${'a'.repeat(5000)}`,
    'http://elsewhere/../secret.txt',
  ]
  it.each(REFUSED)('GW-4: %s leads nowhere', async (path) => {
    const at = await stage({ pages: folder() })
    const answer = await ask(at.httpPort, path)
    expect(answer.status).toBe(404)
    expect(answer.body).not.toContain('secret')
    expect(at.warnings).toEqual([])
  })

  it('GW-1: what a browser has already is 304; HEAD has no body', async () => {
    const at = await stage({ pages: folder() })
    const first = await ask(at.httpPort, '/')
    const etag = String(first.headers.etag)
    expect(first.headers['cache-control']).toBe('no-cache')
    expect(await ask(at.httpPort, '/', { 'If-None-Match': `"x", ${etag}` })).toMatchObject({ status: 304, body: '' })
    expect(await ask(at.httpPort, '/', { 'If-None-Match': '"x"' })).toMatchObject({ status: 200 })
    const head = await ask(at.httpPort, '/', {}, 'HEAD')
    expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', '13'])
  })

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('GW-4: %s is 405', async (method) => {
    const at = await stage({ pages: folder() })
    const answer = await ask(at.httpPort, '/', {}, method)
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD'])
  })

  it('GW-1: pages that are no folder are told at the start', async () => {
    for (const pages of [join(folder(), 'index.html'), '/nowhere/at/all']) {
      const gateway = new Gateway(new FakeBackend(), { ...OPEN_DOOR, pages }, { feeds: new FakeFeeds() })
      await expect(gateway.start()).rejects.toMatchObject({ code: 'INVALID_CONFIG', context: { path: 'pages' } })
    }
  })
})

describe('what the gateway brings itself', () => {
  it('GW-1: the client module and its parts are served, whatever pages have', async () => {
    const at = await stage({ pages: folder() })
    const module = await ask(at.httpPort, '/tandem-mq.js')
    expect(module.headers['content-type']).toBe('text/javascript; charset=utf-8')
    expect(module.body).toContain('export')
    const parts = [...module.body.matchAll(/from '\.(\/[^']+)'/g)].map((match) => match[1] as string)
    expect(parts.length).toBeGreaterThan(0)
    for (const part of parts) expect((await ask(at.httpPort, part)).status, part).toBe(200)
  })

  it('GW-1: its sources in TypeScript are not served', async () => {
    const at = await stage()
    expect((await ask(at.httpPort, '/stats-shape.ts')).status).toBe(404)
  })

  it('GW-1: /healthz says ok without asking who it is', async () => {
    const at = await stage()
    const answer = await ask(at.httpPort, '/healthz')
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { status: 'ok', path: '/mq' }])
  })

  it('GW-2: a plain request for the path of the WebSocket is 426', async () => {
    const at = await stage()
    const answer = await ask(at.httpPort, '/mq')
    expect([answer.status, answer.headers.upgrade]).toEqual([426, 'websocket'])
  })

  it('GW-2: an upgrade to something else is 426', async () => {
    const at = await stage()
    const answer = await ask(at.httpPort, '/mq', { Connection: 'Upgrade', Upgrade: 'h2c' })
    expect([answer.status, answer.headers.upgrade]).toEqual([426, 'websocket'])
  })

  const DASHBOARD: readonly [string, boolean, Parameters<typeof identity>[0], string, number][] = [
    ['not switched on', false, true, '?token=ops', 404],
    ['nobody said who it is', true, true, '', 401],
    ['a wrong token', true, null, '?token=x', 403],
    ['somebody without stats', true, false, '?token=ann', 403],
    ['somebody with stats', true, true, '?token=ops', 200],
  ]
  const identity = (stats: boolean | null) => (stats === null ? null : { name: 'x', stats })
  it.each(DASHBOARD)('GW-4: the dashboard, %s', async (_, dashboard, stats, query, status) => {
    const at = await stage({ dashboard, authenticate: ({ token }) => (token ? identity(stats) : null) })
    const answer = await ask(at.httpPort, `/dashboard${query}`)
    expect(answer.status).toBe(status)
    if (status === 200) {
      expect(answer.headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(answer.headers['referrer-policy']).toBe('no-referrer')
    }
    expect((await ask(at.httpPort, '/dashboard.js')).status).toBe(dashboard ? 200 : 404)
    expect((await ask(at.httpPort, '/dashboard.html')).status).toBe(404)
  })

  it('GW-4: authenticate that throws is 403 for the dashboard, too', async () => {
    const authenticate = () => {
      throw new Error('hunter2')
    }
    const at = await stage({ dashboard: true, authenticate })
    const answer = await ask(at.httpPort, '/dashboard?token=x')
    expect([answer.status, answer.body.includes('hunter2')]).toEqual([403, false])
  })

  it('GW-1: stop ends requests that are under way, and every socket', async () => {
    const at = await stage()
    const half = new WebSocketClient(at.httpPort, { path: '/healthz' })
    half.raw('GET /healthz HTTP/1.1\r\nHost: loc')
    await half.until(() => half.status !== 0)
    await at.gateway.stop({ timeoutMs: 5000 })
    await half.ended()
    expect(at.gateway.state).toBe('stopped')
  })
})
