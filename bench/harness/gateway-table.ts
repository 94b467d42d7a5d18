/** What a stage of the gateway's benchmark says, and whether it was right and kept up. */
import type { StageResult } from './gateway-run.js'

/** Records that arrive later than so behind their publishing show a gateway that falls behind. Milliseconds. */
const BEHIND_MS = 1_000

/** Lost, doubled, dropped, or told of trouble: the one thing that fails. */
export function isRight({ lost, again, dropped, troubles }: StageResult): boolean {
  return lost === 0 && again === 0 && dropped === 0 && troubles.length === 0
}

/** Why the rate was too much for the machine; null: it was carried. */
export function behind({ drainMs, p99Ms, publishLateMs, milliseconds }: StageResult): string | null {
  if (publishLateMs > milliseconds / 10) return `the publisher was ${publishLateMs.toFixed(0)} ms late`
  if (drainMs > BEHIND_MS) return `the last record came ${drainMs.toFixed(0)} ms after it was published`
  if (p99Ms > BEHIND_MS) return `p99 ${p99Ms.toFixed(0)} ms`
  return null
}

const HEAD = [
  'published/s',
  'deliveries/s',
  'delivered',
  'lost',
  'again',
  'p50 ms',
  'p99 ms',
  'drain ms',
  'CPU us/delivery',
  'core of gateway',
  'of subscribers',
  'RSS MiB (peak)',
  'kept up',
]

export function stageTable(stages: readonly StageResult[]): string {
  const lines = stages.map((one) => [
    String(one.perSecond),
    one.deliveredPerSecond.toFixed(0),
    String(one.delivered),
    String(one.lost),
    String(one.again),
    one.p50Ms.toFixed(1),
    one.p99Ms.toFixed(1),
    one.drainMs.toFixed(0),
    one.cpuUsPerDelivery.toFixed(2),
    `${(100 * one.cpuShare).toFixed(0)} %`,
    `${(100 * one.clientsCpuShare).toFixed(0)} %`,
    `${one.rssMib.toFixed(0)} (${one.peakRssMib.toFixed(0)})`,
    behind(one) ?? 'yes',
  ])
  return [HEAD, HEAD.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
