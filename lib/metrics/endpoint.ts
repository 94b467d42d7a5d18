/**
 * Metrics and health over HTTP: a request handler for any server, and a small server of our own.
 * Invariants: only GET and HEAD; what goes wrong inside is logged and answered with 500, without details; after
 * `close()` neither the port nor a socket is open. Source: features.md ME-2, NT-9.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { MQError } from '../errors/index.js'
import { type Logger, runInBackground } from '../util/index.js'
import { prefersOpenMetrics } from './accept.js'
import { CONTENT_TYPES } from './prometheus.js'

/** Usable as a listener of `node:http` and as a handler of express or connect. */
export type MetricsHandler = (request: IncomingMessage, response: ServerResponse) => void

/** What the endpoint shows of health: `overall` decides between 200 and 503, the rest is shown as JSON. */
export interface HealthAnswer {
  readonly overall: boolean
}

export interface EndpointSource {
  readonly isEnabled: boolean
  text(): Promise<string>
  openMetrics(): Promise<string>
  /** Null: nobody has said how to find out. */
  readonly health: (() => Promise<HealthAnswer>) | null
}

export interface ListeningAddress {
  readonly address: string
  readonly port: number
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Scrapers hold a handful of connections; more is a mistake or an attack. */
const MAX_CONNECTIONS = 256
const PLAIN = 'text/plain; charset=utf-8'
const JSON_TYPE = 'application/json; charset=utf-8'
const NOT_FOUND: Answer = { status: 404, type: PLAIN, body: 'not found\n' }
const NOT_ALLOWED: Answer = { status: 405, type: PLAIN, body: 'only GET and HEAD\n' }
const BROKEN: Answer = { status: 500, type: PLAIN, body: 'could not be read: see the log\n' }
const DISABLED: Answer = { status: 404, type: PLAIN, body: 'metrics are disabled (metrics.enabled: false)\n' }
const NO_HEALTH: Answer = { status: 404, type: PLAIN, body: 'no health check is set\n' }

/** Answers every path with the metrics: where it is mounted is the caller's choice. */
export function metricsHandler(source: EndpointSource, logger: Logger): MetricsHandler {
  return (request, response) => respond(request, response, logger, () => metricsAnswer(source, request))
}

function metricsOrHealth(source: EndpointSource, path: string, logger: Logger): MetricsHandler {
  return (request, response) => {
    const asked = (request.url ?? '/').split('?')[0]
    respond(request, response, logger, () => {
      if (asked === path) return metricsAnswer(source, request)
      return asked === '/healthz' ? healthAnswer(source) : Promise.resolve(NOT_FOUND)
    })
  }
}

async function metricsAnswer(source: EndpointSource, request: IncomingMessage): Promise<Answer> {
  if (!source.isEnabled) return DISABLED
  const format = prefersOpenMetrics(request.headers.accept) ? 'openMetrics' : 'text'
  return { status: 200, type: CONTENT_TYPES[format], body: await source[format]() }
}

async function healthAnswer(source: EndpointSource): Promise<Answer> {
  if (source.health === null) return NO_HEALTH
  const report = await source.health()
  return { status: report.overall ? 200 : 503, type: JSON_TYPE, body: `${JSON.stringify(report)}\n` }
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  logger: Logger,
  answer: () => Promise<Answer>,
): void {
  const isLegal = request.method === 'GET' || request.method === 'HEAD'
  if (!isLegal) return send(request, response, NOT_ALLOWED)
  runInBackground(
    'metrics endpoint',
    async () => send(request, response, await answer()),
    (name, error) => {
      logger.error(`the ${name} failed`, { error: String(error) })
      send(request, response, BROKEN)
    },
  )
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  if (response.headersSent || response.destroyed) return
  response.statusCode = status
  response.setHeader('Content-Type', type)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  response.setHeader('Cache-Control', 'no-store')
  if (status === 405) response.setHeader('Allow', 'GET, HEAD')
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** A port that serves metrics under `path`, and health under `/healthz`. */
export class Endpoint {
  readonly #server: Server
  readonly #address: string
  readonly #logger: Logger

  constructor(source: EndpointSource, address: string, path: string, logger: Logger) {
    this.#server = createServer(metricsOrHealth(source, path, logger))
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#address = address
    this.#logger = logger
  }

  /** Rejects with INVALID_CONFIG naming `metrics.address` if it cannot be listened on. */
  listen(host: string | undefined, port: number): Promise<ListeningAddress> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => reject(cannotListen(this.#address, cause)))
      this.#server.listen(port, host, () => {
        this.#server.removeAllListeners('error')
        this.#server.on('error', (error) => this.#logger.error('the metrics endpoint failed', { error: String(error) }))
        const at = this.#server.address() as ListeningAddress
        resolve({ address: at.address, port: at.port })
      })
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }
}

function cannotListen(address: string, cause: Error): MQError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  return new MQError(
    'INVALID_CONFIG',
    `metrics.address '${address}' cannot be listened on: ${why}; choose another port or host`,
    { issues: [{ path: 'metrics.address', value: address, expected: 'an address that is free on this machine' }] },
    { cause },
  )
}
