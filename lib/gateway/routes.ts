/**
 * What HTTP asks of the gateway beside the upgrade: its health, the client module, the dashboard, the pages of the user.
 * Invariant: GET and HEAD only; what goes wrong inside is told to the operator and answered with 500, without details.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { MQError } from '../errors/index.js'
import { runInBackground } from '../util/index.js'
import type { Admission, Verdict } from './admission.js'
import { Files } from './files.js'
import type { ResolvedGatewayOptions } from './options.js'
import { credentialsOf, pathOf } from './requests.js'

/** Client module and dashboard as they ship: scripts, styles, one page. */
const OWN_FOLDER = fileURLToPath(new URL('./browser/', import.meta.url))
const OWN_ASSET = /^\/[a-z0-9-]+\.(?:js|css|svg)$/
const DASHBOARD_ASSET = /^\/dashboard[.-]/
/** What the page may load and talk to, and that nobody may show it inside his own page. */
const DASHBOARD_POLICY = [
  "default-src 'self'",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
const PLAIN = 'text/plain; charset=utf-8'

export interface RoutesParts {
  readonly options: ResolvedGatewayOptions
  readonly admission: Admission
  readonly isRunning: () => boolean
  readonly warn: (error: MQError) => void
}

export class Routes {
  readonly #parts: RoutesParts
  readonly #own = new Files(OWN_FOLDER)
  readonly #pages: Files | null

  constructor(parts: RoutesParts) {
    this.#parts = parts
    const { pages } = parts.options
    this.#pages = pages === undefined ? null : new Files(pages)
  }

  /** A `request` event of node:http. */
  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    runInBackground(
      'gateway page',
      () => this.#answer(request, response),
      (_, error) => {
        if (isEndOfClient(error) || response.destroyed) return
        this.#parts.warn(failed(request, error))
        if (response.headersSent) response.destroy()
        else say(response, 500, 'this page failed')
      },
    )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { options, isRunning } = this.#parts
    const path = pathOf(request.url)
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return say(response, 405, 'only GET and HEAD', { Allow: 'GET, HEAD' })
    }
    if (path === '/healthz') return health(response, isRunning(), options.path)
    if (path === options.path) {
      return say(response, 426, 'a WebSocket is here', { Upgrade: 'websocket', Connection: 'Upgrade' })
    }
    if (options.dashboard && path === '/dashboard') return this.#dashboard(request, response)
    const isOwn = OWN_ASSET.test(path) && (options.dashboard || !DASHBOARD_ASSET.test(path))
    if (isOwn && (await this.#own.serve(path, request, response))) return
    if (await this.#pages?.serve(path, request, response)) return
    say(response, 404, 'not found')
  }

  /** Who may not see figures is not shown the page for them either. */
  async #dashboard(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const verdict = await this.#parts.admission.judge(credentialsOf(request, 'websocket'))
    const status = statusOf(verdict)
    if (status === 401) return say(response, 401, 'who are you? /dashboard?token=', { 'WWW-Authenticate': 'Bearer' })
    if (status !== 200) return say(response, status, status === 503 ? 'try again later' : 'this needs stats: true')
    // The token may be in the address: it goes nowhere else.
    response.setHeader('Referrer-Policy', 'no-referrer')
    response.setHeader('Content-Security-Policy', DASHBOARD_POLICY)
    if (!(await this.#own.serve('/dashboard.html', request, response))) say(response, 404, 'not found')
  }
}

function statusOf(verdict: Verdict): 200 | 401 | 403 | 503 {
  if (typeof verdict !== 'string') return verdict.maySeeStats ? 200 : 403
  return verdict === 'unauthenticated' ? 401 : verdict === 'late' ? 503 : 403
}

/** `path` is how a page learns where the WebSocket is. */
function health(response: ServerResponse, isRunning: boolean, path: string): void {
  const body = JSON.stringify({ status: isRunning ? 'ok' : 'stopping', path })
  write(response, isRunning ? 200 : 503, 'application/json; charset=utf-8', `${body}\n`, {})
}

function say(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
  write(response, status, PLAIN, `${text}\n`, headers)
}

function write(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  })
  response.end(body)
}

/** It went away while it was answered. */
function isEndOfClient(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'EPIPE'
}

function failed(request: IncomingMessage, cause: unknown): MQError {
  const path = pathOf(request.url).slice(0, 200)
  const text = `${request.method ?? ''} ${path} failed: ${cause instanceof Error ? cause.message : String(cause)}`
  return new MQError('CONNECTION_FAILED', text, { path }, { cause })
}
