/** Several processes on one port (SO_REUSEPORT): which Node can ask for it. NT-7, trap 22. */
import { MQError } from '../../errors/index.js'

/** `listen({ reusePort })` came with 23.1 and 22.12; an older Node would ignore the word silently. */
export function canReusePort(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
}

/** Told as a warning: the server listens all the same. */
export function reusePortMissing(cause: unknown): MQError {
  const why = cause === undefined ? `Node ${process.versions.node} has none, 22.12 has` : 'the system refused it'
  const text = `reusePort is not available (${why}): this process has the port alone`
  return new MQError('INVALID_CONFIG', text, { path: 'reusePort' }, { cause })
}
