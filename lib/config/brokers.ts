/**
 * Broker addresses as people write them: 'host', 'host:port', '[::1]:9092', a list, or one comma string.
 * Invariant: the result has a host that is not empty and a port 1..65535. Source: features.md 3.1.
 */

/** Where a broker listens. An IPv6 host is without brackets. */
export interface BrokerEndpoint {
  readonly host: string
  readonly port: number
}

const DEFAULT_PORT = 9092
/** An IPv6 address in brackets or a host without colon, then an optional port. */
const ADDRESS = /^(?:\[([0-9a-zA-Z:.%]+)\]|([^\s:[\]/,]+))(?::(\d{1,5}))?$/

/** One address, or undefined when it is none. */
export function parseBroker(value: unknown): BrokerEndpoint | undefined {
  if (typeof value === 'string') return parseText(value.trim())
  if (typeof value !== 'object' || value === null) return undefined
  const { host, port } = value as { host?: unknown; port?: unknown }
  if (typeof host !== 'string' || host === '' || !isPort(port ?? DEFAULT_PORT)) return undefined
  return { host, port: (port ?? DEFAULT_PORT) as number }
}

/** All addresses of a list or comma string, or undefined when one of them is wrong or none is there. */
export function parseBrokers(value: unknown): readonly BrokerEndpoint[] | undefined {
  const parts = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(parts) || parts.length === 0) return undefined
  const brokers = parts.map(parseBroker)
  return brokers.every((broker) => broker !== undefined)
    ? Object.freeze(brokers.map((broker) => Object.freeze(broker)))
    : undefined
}

function parseText(address: string): BrokerEndpoint | undefined {
  const match = ADDRESS.exec(address)
  if (match === null) return undefined
  const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3])
  return isPort(port) ? { host: (match[1] ?? match[2]) as string, port } : undefined
}

function isPort(port: unknown): port is number {
  return Number.isInteger(port) && (port as number) >= 1 && (port as number) <= 65_535
}
