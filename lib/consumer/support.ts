/**
 * Settings that are declared, but not served yet. Refused at construction: a setting that is accepted and ignored
 * would be found out in production.
 */
import type { ResolvedConsumerConfig } from '../config/index.js'
import { MQError } from '../errors/index.js'

export function refuseUnserved(config: ResolvedConsumerConfig): void {
  const unserved: [string, unknown, boolean][] = [
    ['concurrencyBy', config.concurrencyBy, config.concurrencyBy === 'key'],
  ]
  const issues = unserved
    .filter(([, , isUnserved]) => isUnserved)
    .map(([path, value]) => ({ path, value, expected: 'another value: this version does not have it yet' }))
  if (issues.length === 0) return
  const text = `configuration refused: ${issues.map(({ path, value }) => `${path} ${String(value)} is not there yet`).join('; ')}`
  throw new MQError('INVALID_CONFIG', text, { issues })
}
