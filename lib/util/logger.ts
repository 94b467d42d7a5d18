/** What we need of a logger; an adapter for pino or winston is a plain object. */
export interface Logger {
  debug(message: string, context?: object): void
  info(message: string, context?: object): void
  warn(message: string, context?: object): void
  error(message: string, context?: object): void
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Writes one line per message to stderr, from `level` up. */
export function consoleLogger(level: LogLevel): Logger {
  const from = LOG_LEVELS.indexOf(level)
  const at = (name: LogLevel) => {
    if (LOG_LEVELS.indexOf(name) < from) return () => {}
    return (message: string, context?: object) => {
      const tail = context === undefined ? '' : ` ${JSON.stringify(context, bigintAsText)}`
      process.stderr.write(`${new Date().toISOString()} ${name} tandem-mq: ${message}${tail}\n`)
    }
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
