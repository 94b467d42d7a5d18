/**
 * `gateway`: browsers and TCP clients publish to and subscribe from topics, until it is stopped.
 * Why it refuses to start without a rule: a gateway that nobody allowed anything opens a way to Kafka for nobody, or, if it
 * were lenient, for everybody.
 * Invariant: its addresses are the first line of stdout, printed when it accepts clients.
 */
import { readFileSync } from 'node:fs'
import type { Gateway, GatewayOptions } from '../../gateway/index.js'
import { MQ, type MQConfig } from '../../index.js'
import { OK } from '../exit-codes.js'
import { whenStopped } from '../io.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { integer, UsageError } from '../usage.js'
import { checkRules, TokenFile } from './gateway-tokens.js'

export interface GatewayFlags extends ClusterFlags {
  readonly listen?: string
  readonly tcp?: string
  readonly path?: string
  readonly publish?: readonly string[]
  readonly subscribe?: readonly string[]
  readonly keys?: readonly string[]
  readonly tokenFile?: string
  readonly origin?: readonly string[]
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly keyTopic?: readonly string[]
  readonly pages?: string
  readonly dashboard?: boolean
  readonly slowClient?: string
  readonly maxClients?: string
}

const LISTEN = '127.0.0.1:8080'
const SLOW_CLIENTS = ['pause', 'drop', 'disconnect'] as const
/** Whoever connects there is on this machine. */
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|localhost|\[::1\]):(\d+)$/
const KEY_PASSWORD = 'TANDEM_GATEWAY_KEY_PASSWORD'

export async function gateway(run: Run, _words: readonly string[], flags: GatewayFlags): Promise<number> {
  const options = gatewayOptions(flags, run.io.env, (text) => void run.out.note(`tandem-mq: ${text}`))
  const settings = run.settings()
  const mq = run.keep(new MQ(settings as MQConfig)) // stops the gateway when it is closed
  const started = mq.gateway(options)
  started.on('error', ({ message }) => settings.logger.error(message))
  started.on('warning', ({ message }) => settings.logger.warn(message))
  await started.start()
  const told = addressesOf(started, flags)
  await run.out.either(
    told,
    Object.entries(told).map(([name, address]) => `${name} ${address}`),
  )
  for (const text of cautions(flags, options)) await run.out.note(`tandem-mq: ${text}`)
  const asked = tellUnreachable(run, mq)
  await whenStopped(run.io.signal)
  await asked
  return OK
}

/** Brokers may come later, so that nothing ends; but whoever has typed a wrong address should not have to wait for clients. */
async function tellUnreachable({ limits, out, io }: Run, mq: MQ): Promise<void> {
  try {
    await mq.ping(limits)
  } catch (error) {
    if (!io.signal.aborted) await out.note(`tandem-mq: no broker answers yet: ${(error as Error).message}`)
  }
}

/** Where clients and people connect, by what is there. */
function addressesOf({ addresses, options }: Gateway, { tlsCert, dashboard }: GatewayFlags): Record<string, string> {
  const { websocket, tcp } = addresses
  const secure = tlsCert === undefined ? '' : 's'
  const at = websocket === null ? '' : textOf(websocket)
  return {
    ...(websocket === null ? {} : { websocket: `ws${secure}://${at}${options.path}` }),
    ...(tcp === null ? {} : { tcp: textOf(tcp) }),
    ...(websocket === null || dashboard !== true ? {} : { dashboard: `http${secure}://${at}/dashboard` }),
  }
}

function textOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** What the command line asks for. Throws UsageError. `onTrouble` hears what goes wrong with the token file later. */
export function gatewayOptions(
  flags: GatewayFlags,
  env: Readonly<Record<string, string | undefined>>,
  onTrouble: (text: string) => void,
): GatewayOptions {
  const websocket = flags.listen ?? (flags.tcp === undefined ? LISTEN : undefined)
  return {
    ...given({ websocket, tcp: flags.tcp, path: flags.path, pages: flags.pages, dashboard: flags.dashboard }),
    ...accessOf(flags, onTrouble),
    ...given({ tls: tlsOf(flags, env), keyTopics: flags.keyTopic, slowClient: slowClientOf(flags) }),
    origins: flags.origin ?? ownOrigins(flags, websocket),
    ...(flags.maxClients === undefined
      ? {}
      : { maxClients: integer('--max-clients', flags.maxClients, 1, 10_000_000) }),
  }
}

function accessOf(flags: GatewayFlags, onTrouble: (text: string) => void): Partial<GatewayOptions> {
  const { publish = [], subscribe = [], keys = [], tokenFile } = flags
  if (publish.length + subscribe.length === 0 && tokenFile === undefined) {
    throw new UsageError(
      'nobody may do anything: say what everybody may (--publish <topic>, --subscribe <topic>, * behind the beginning of topics), ' +
        'or who may what (--token-file <file>)',
    )
  }
  checkRules('--publish', publish)
  checkRules('--subscribe', subscribe)
  const tokens = tokenFile === undefined ? undefined : new TokenFile(tokenFile, onTrouble)
  // Figures are for whoever is named; where nobody is, for everybody who was promised a dashboard.
  const stats = tokens === undefined && flags.dashboard === true
  const isOpen = publish.length + subscribe.length > 0
  return {
    ...(isOpen ? { anonymous: { publish, subscribe, keys, stats } } : {}),
    ...(tokens === undefined
      ? {}
      : { authenticate: ({ token }) => (token === undefined ? null : tokens.identityOf(token)) }),
  }
}

/** Pages that this gateway serves itself may connect to it, where it is known how browsers call it. */
function ownOrigins({ pages, dashboard, tlsCert }: GatewayFlags, websocket: string | undefined): string[] {
  if (pages === undefined && dashboard !== true) return []
  const [, port] = LOOPBACK.exec(websocket ?? '') ?? []
  if (port === undefined || port === '0') return []
  const scheme = tlsCert === undefined ? 'http' : 'https'
  return ['127.0.0.1', 'localhost', '[::1]'].map((host) => `${scheme}://${host}:${port}`)
}

function tlsOf({ tlsCert, tlsKey }: GatewayFlags, env: Readonly<Record<string, string | undefined>>) {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined) throw new UsageError('--tls-cert: a certificate belongs to --tls-key')
  if (tlsKey === undefined) throw new UsageError('--tls-key: a key belongs to --tls-cert')
  const passphrase = env[KEY_PASSWORD]
  return {
    cert: textIn('--tls-cert', tlsCert),
    key: textIn('--tls-key', tlsKey),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}

function textIn(what: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`${what}: ${path} cannot be read (${(error as { code?: string }).code ?? 'unknown reason'})`)
  }
}

function slowClientOf({ slowClient }: GatewayFlags) {
  if (slowClient === undefined) return undefined
  const known = SLOW_CLIENTS.find((name) => name === slowClient)
  if (known === undefined)
    throw new UsageError(`--slow-client: expected ${SLOW_CLIENTS.join(', ')}, got '${slowClient}'`)
  return known
}

/** What an operator should know, and may have meant. */
function cautions(flags: GatewayFlags, { websocket, tcp, origins = [] }: GatewayOptions): string[] {
  const isOutside = [websocket, tcp].some((address) => address !== undefined && !LOOPBACK.test(address))
  return [
    ...(isOutside && flags.tokenFile !== undefined && flags.tlsCert === undefined
      ? ['tokens travel in the clear: give --tls-cert and --tls-key, unless TLS ends in front of it']
      : []),
    ...(websocket !== undefined && origins.length === 0
      ? ['no page of a browser may connect: give --origin, such as --origin https://chat.example']
      : []),
  ]
}

/** Without what is undefined: left out and undefined are not the same. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
