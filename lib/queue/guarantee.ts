/** What a queue promises with its settings, and why it is not more. Source: wal.md 1.1, 7. */
import type { QueueSettings } from '../config/index.js'
import type { QueueGuarantee } from './types.js'

const LOSSES: Readonly<Record<QueueSettings['durability'], string | null>> = {
  memory: "durability 'memory': what is pending is lost with the process",
  spill: "durability 'spill': what is pending in memory is lost with the process",
  os: "durability 'os': up to wal.unsyncedMaxBytes may be lost with the machine's power",
  periodic: "durability 'periodic': the last wal.syncIntervalMs may be lost with the machine's power",
  immediate: null,
}

export function guaranteeOf(settings: QueueSettings, senders: number): QueueGuarantee {
  const { durability, onExhausted, overflow } = settings
  const reasons: string[] = []
  const loss = LOSSES[durability]
  if (loss !== null) reasons.push(loss)
  if (onExhausted === 'fail') reasons.push("onExhausted 'fail': a batch is given up when its retries are used up")
  if (overflow === 'dropOldest') reasons.push("overflow 'dropOldest': the oldest items are given up at the limit")
  const isBestEffort =
    durability === 'memory' || durability === 'spill' || onExhausted === 'fail' || overflow === 'dropOldest'
  if (senders > 1) reasons.push(`concurrency ${senders}: batches overtake each other`)
  return Object.freeze({
    level: isBestEffort ? 'best-effort' : 'at-least-once',
    order: senders > 1 ? 'none' : 'fifo',
    reasons: Object.freeze(reasons),
  })
}
