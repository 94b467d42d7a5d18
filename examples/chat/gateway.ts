/**
 * The chat's gateway: the page, and the WebSocket by which it publishes and gets what is addressed to its user, on one port.
 * Invariant: somebody gets only what is addressed to him: the topic is read by key, and the only key that a name may read is
 * that name itself.
 */
import { fileURLToPath } from 'node:url'
import type { Gateway } from 'tandem-mq/gateway'
import { type ChatService, TOPIC } from './service.js'

const PAGE = fileURLToPath(new URL('./page/', import.meta.url))
const NAME = /^[^\s*]{1,40}$/

export function chatGateway(chat: ChatService, port = 0): Gateway {
  return chat.mq.gateway({
    websocket: `127.0.0.1:${port}`,
    // Here a name is believed. A service of yours would check a signed token, and take the name from it.
    authenticate: ({ token }) =>
      token !== undefined && NAME.test(token)
        ? { name: token, publish: [TOPIC], subscribe: [TOPIC], stats: true }
        : null,
    // Who asks from another site has no token: there are no cookies that would lend him one.
    origins: ['*'],
    keyTopics: [TOPIC],
    pages: PAGE,
    dashboard: true,
  })
}
