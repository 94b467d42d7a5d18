/**
 * The configuration of one run: file, environment, `-X`, options, each stronger than the one before.
 * Why secrets have an environment and file form: words of a command line are visible to everybody on the machine.
 * Invariant: a secret is never printed; what is wrong is told with its path by the configuration itself.
 */
import { readFileSync } from 'node:fs'
import { type Logger, type LogLevel, type MQConfig, type ResolvedConfig, resolveConfig } from '../index.js'
import type { Sink } from './io.js'
import { parseProperties, propertyOf } from './properties.js'
import { pair, UsageError } from './usage.js'

/** Options every command has. */
export interface ClusterFlags {
  readonly brokers?: string
  readonly property?: readonly string[]
  readonly config?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly debug?: boolean
  readonly timeout?: string
  readonly progress?: boolean
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

type Env = Readonly<Record<string, string | undefined>>
type Tree = { [key: string]: unknown }

/** Environment variable -> path. The names with _FILE are read from a file. */
const VARIABLES: Readonly<Record<string, string>> = {
  TANDEM_BROKERS: 'bootstrap.servers',
  TANDEM_CLIENT_ID: 'client.id',
  TANDEM_SECURITY_PROTOCOL: 'security.protocol',
  TANDEM_SASL_MECHANISM: 'sasl.mechanism',
  TANDEM_SASL_USERNAME: 'sasl.username',
  TANDEM_SASL_PASSWORD: 'sasl.password',
  TANDEM_SSL_CA_FILE: 'ssl.ca.location',
  TANDEM_SSL_CERT_FILE: 'ssl.certificate.location',
  TANDEM_SSL_KEY_FILE: 'ssl.key.location',
  TANDEM_SSL_KEY_PASSWORD: 'ssl.key.password',
}
const FROM_FILES: Readonly<Record<string, string>> = {
  TANDEM_SASL_PASSWORD_FILE: 'sasl.password',
  TANDEM_SSL_KEY_PASSWORD_FILE: 'ssl.key.password',
}
const TOKEN_FILE = 'TANDEM_SASL_TOKEN_FILE'
const TOKEN = 'TANDEM_SASL_TOKEN'

/** What a command itself wants: `wishes` are its options, `defaults` stand back behind whatever is given. */
export interface Demands {
  readonly wishes?: readonly (readonly [path: string, value: unknown])[]
  readonly defaults?: readonly (readonly [path: string, value: unknown])[]
}

/** Throws UsageError, INVALID_CONFIG, MISSING_CONFIG. */
export function settingsOf(flags: ClusterFlags, env: Env, stderr: Sink, demands: Demands = {}): ResolvedConfig {
  const { wishes = [], defaults = [] } = demands
  const tree = gather(flags, env)
  for (const [path, value] of wishes) if (value !== undefined) put(tree, path, value)
  for (const [path, value] of defaults) if (at(tree, path) === undefined) put(tree, path, value)
  if (tree.logger === undefined) tree.logger = loggerTo(stderr, levelOf(flags))
  return resolveConfig(tree as MQConfig)
}

/** True when somebody has named brokers. */
export function namesBrokers(flags: ClusterFlags, env: Env): boolean {
  const tree = gather(flags, env)
  return tree.brokers !== undefined || tree.bootstrapServers !== undefined
}

function gather(flags: ClusterFlags, env: Env): Tree {
  const tree = branchOf({})
  const file = flags.config ?? env.TANDEM_CONFIG
  if (file !== undefined) readInto(tree, file)
  for (const [name, property] of Object.entries(VARIABLES)) {
    const value = env[name]
    if (value !== undefined && value !== '') putProperty(tree, property, value)
  }
  for (const [name, property] of Object.entries(FROM_FILES)) {
    const path = env[name]
    if (path !== undefined && path !== '') putProperty(tree, property, secretIn(name, path))
  }
  putToken(tree, env)
  for (const word of flags.property ?? []) putProperty(tree, ...pair('-X', word))
  if (flags.brokers !== undefined) put(tree, 'brokers', flags.brokers)
  return tree
}

/** JSON in the shape of `MQConfig`, or lines `name=value`. */
function readInto(tree: Tree, file: string): void {
  const content = textOf('--config', file).replace(/^\uFEFF/, '')
  if (!content.trimStart().startsWith('{')) {
    for (const [name, value] of parseProperties(`--config: ${file}`, content)) putProperty(tree, name, value)
    return
  }
  try {
    Object.assign(tree, JSON.parse(content))
  } catch {
    // The parser's text quotes the content, which may hold a password.
    throw new UsageError(`--config: ${file} begins like JSON, but is none: check its quotes and commas`)
  }
}

/** A token file is read for each new session, so that whoever renews the token need not restart anything. */
function putToken(tree: Tree, env: Env): void {
  const { [TOKEN]: token, [TOKEN_FILE]: file } = env
  if (file !== undefined && file !== '') put(tree, 'sasl.token', async () => secretIn(TOKEN_FILE, file))
  else if (token !== undefined && token !== '') put(tree, 'sasl.token', async () => token)
}

function secretIn(name: string, path: string): string {
  return textOf(name, path).replace(/\r?\n$/, '')
}

function textOf(what: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`${what}: ${path} cannot be read (${(error as { code?: string }).code ?? 'unknown reason'})`)
  }
}

function putProperty(tree: Tree, name: string, value: string): void {
  const { path, value: converted } = propertyOf(name, value)
  put(tree, path, converted)
}

function put(tree: Tree, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop() as string
  let branch = tree
  for (const key of keys) {
    const next = branch[key]
    branch[key] = branchOf(typeof next === 'object' && next !== null ? next : {})
    branch = branch[key] as Tree
  }
  branch[last] = value
}

/** Without a prototype, so that `__proto__` is a name like any other, and refused like any other. */
function branchOf(fields: object): Tree {
  return Object.assign(Object.create(null) as Tree, fields)
}

function at(tree: Tree, path: string): unknown {
  return path.split('.').reduce<unknown>((found, key) => (found as Tree | undefined)?.[key], tree)
}

export function levelOf({ quiet, verbose, debug }: ClusterFlags): LogLevel {
  if (debug === true) return 'debug'
  if (quiet === true) return 'silent'
  return verbose === true ? 'info' : 'error'
}

function loggerTo(stderr: Sink, level: LogLevel): Logger {
  const from = LEVELS.indexOf(level)
  const write = (name: LogLevel) => (message: string, context?: object) => {
    if (LEVELS.indexOf(name) < from) return
    const tail =
      context === undefined
        ? ''
        : ` ${JSON.stringify(context, (_key, value) => (typeof value === 'bigint' ? `${value}` : value))}`
    void stderr.write(`${name}: ${message}${tail}\n`)
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}
