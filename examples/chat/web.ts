/**
 * The chat for programs that speak HTTP only; the page talks to the gateway.
 * POST /messages {from_user, to_user, content}; GET /messages?user= the last ones; GET /events?user= as they come
 * (server-sent events); GET /metrics for Prometheus; GET /healthz.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type ChatMessage, parsedMessage } from './message.js'
import type { ChatService } from './service.js'

const MAX_BODY_BYTES = 16_384

export function chatServer(chat: ChatService): Server {
  const metrics = chat.mq.metrics.handler()
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://chat')
    const route = `${request.method} ${url.pathname}`
    const user = url.searchParams.get('user') ?? ''
    if (route === 'POST /messages') return void receive(chat, request, response)
    if (route === 'GET /messages') return answer(response, 200, chat.messagesTo(user))
    if (route === 'GET /events') return stream(chat, user, response)
    if (route === 'GET /metrics') return void metrics(request, response)
    if (route === 'GET /healthz') return void healthz(chat, response)
    answer(response, 404, { error: `no ${route} here` })
  })
}

async function receive(chat: ChatService, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const message = parsedMessage(await bodyOf(request))
    if (typeof message === 'string') return answer(response, 400, { error: message })
    const { partition, offset } = await chat.send(message)
    answer(response, 201, { message_id: message.message_id, partition, offset })
  } catch (error) {
    answer(response, error instanceof SyntaxError ? 400 : 503, { error: String(error) })
  }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new SyntaxError(`more than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString())
}

function stream(chat: ChatService, user: string, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const show = (message: ChatMessage) => response.write(`data: ${JSON.stringify(message)}\n\n`)
  for (const message of chat.messagesTo(user)) show(message)
  const stop = chat.listen(user, show)
  response.on('close', stop)
  response.flushHeaders()
}

async function healthz(chat: ChatService, response: ServerResponse): Promise<void> {
  const report = await chat.mq.health()
  answer(response, report.overall ? 200 : 503, report)
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
