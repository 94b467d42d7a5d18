/**
 * Addresses to listen on, as people write them: ':9091', 'localhost:9091', '[::1]:9091'.
 * Invariant: the result has a port 0..65535; 0 asks the system for a free one. Source: features.md 3.6, NT-9.
 */

/** Where to listen. Without a host: on every address of the machine. */
export interface ListenAddress {
  readonly host: string | undefined
  readonly port: number
}

/** An IPv6 address in brackets, a host without colon, or nothing; then the port. */
const ADDRESS = /^(?:\[([0-9a-zA-Z:.%]+)\]|([^\s:[\]/,@]+))?:(\d{1,5})$/

/** The parts of an address, or undefined when it is none. */
export function parseListenAddress(value: unknown): ListenAddress | undefined {
  const match = typeof value === 'string' ? ADDRESS.exec(value) : null
  if (match === null) return undefined
  const port = Number(match[3])
  return port <= 65_535 ? { host: match[1] ?? match[2], port } : undefined
}
