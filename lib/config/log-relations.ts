/**
 * Rules of the write-ahead log: what its fields need of each other, and of the producer that writes it.
 * Why two functions: the log stands among the client's fields, but only a producer has batches and acknowledgements.
 * Rules on sizes hold once there is a log, so that a producer without one may have larger batches.
 * Source: features.md 3.5, wal.md 1.2 (C5, E14), 2.3.
 */
import { atLeast } from './comparing.js'
import type { Draft } from './draft.js'
import { MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES } from './wal-fields.js'

/** A log has at least so many files, so that settled ones can be freed while others are written. */
const FILES_PER_LOG = 8
/** A batch takes at most this share of a file; what is left at a file's end stays small. */
const BATCHES_PER_FILE = 4
/** Modes in which an accepted record survives the process. */
const DURABLE = ['os', 'periodic', 'immediate']

export function relateLog(draft: Draft): void {
  if (hasLog(draft) && draft.get('wal.dir') === undefined) {
    draft.findings.missing(draft.at('wal.dir'), `a directory for wal.durability '${draft.get('wal.durability')}'`)
  }
  const largest = largestSegment(draft.number('wal.maxBytes'))
  if (draft.get('wal.segmentBytes') === undefined) draft.set('wal.segmentBytes', largest)
  const fits = draft.number('wal.segmentBytes') <= largest
  draft.relate('wal.segmentBytes', ['wal.maxBytes'], fits, 'at most an eighth of')
  const hasRest = draft.number('wal.expirationMarginMs') < draft.number('wal.producerIdExpirationMs')
  draft.relate('wal.expirationMarginMs', ['wal.producerIdExpirationMs'], hasRest, 'less than')
}

export function relateProducerLog(draft: Draft): void {
  relateDurability(draft)
  relateSpill(draft)
  if (hasLog(draft)) relateSizes(draft)
}

function hasLog(draft: Draft): boolean {
  return draft.get('wal.durability') !== 'memory'
}

/** The largest power of two that leaves room for eight files, within the bounds of a file. */
export function largestSegment(maxBytes: number): number {
  let bytes = MIN_SEGMENT_BYTES
  while (bytes < MAX_SEGMENT_BYTES && bytes * 2 <= maxBytes / FILES_PER_LOG) bytes *= 2
  return bytes
}

/** What is resent after a crash is recognised by its identity, which only an idempotent producer with acks all has. */
function relateDurability(draft: Draft): void {
  const isDurable = DURABLE.includes(String(draft.get('wal.durability')))
  const isExact = draft.get('idempotence') === true && draft.get('acks') === -1
  const rule = "'memory' or 'spill' (the others need idempotence true and acks 'all') with"
  draft.relate('wal.durability', ['idempotence', 'acks'], !isDurable || isExact, rule)
}

function relateSpill(draft: Draft): void {
  const spills = draft.get('wal.durability') === 'spill'
  if (spills && !draft.isSet('onFull')) draft.set('onFull', 'spill')
  const isFullSpill = draft.get('onFull') === 'spill'
  draft.relate('onFull', ['wal.durability'], !spills || isFullSpill, "'spill', which is what it means to have")
  const other = "'block', 'reject' or 'dropOldest', since there is no log to spill to with"
  draft.relate('onFull', ['wal.durability'], !isFullSpill || hasLog(draft), other)
}

function relateSizes(draft: Draft): void {
  const fits = draft.number('maxBatchBytes') <= draft.number('wal.segmentBytes') / BATCHES_PER_FILE
  draft.relate('maxBatchBytes', ['wal.segmentBytes', 'wal.maxBytes'], fits, 'at most a quarter of a segment, see')
  atLeast(draft, 'wal.pendingMaxBytes', 'maxBatchBytes')
  atLeast(draft, 'wal.unsyncedMaxBytes', 'maxBatchBytes')
  atLeast(draft, 'wal.minFreeBytes', 'maxBatchBytes')
}
