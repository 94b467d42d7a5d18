/**
 * The records of the kill tests: each can be made again from its lane and number, so a reader knows what must come back.
 * A lane is one partition of one topic; numbers ascend in the order in which they are sent and are never used twice.
 * Sizes vary, because batches of one size would always end at the same place of a group, a sector or a segment.
 */

const PATTERN_CHARS = 128 * 1024
/** Printable, and no two stretches alike for a while: a shifted copy is not mistaken for the right one. */
const PATTERN = makePattern()
const HUGE_ONE_IN = 4_001
const LARGE_ONE_IN = 211

export function valueFor(lane: number, number: number): string {
  const hash = hashOf(lane, number)
  const at = hash % 4_096
  return `${lane}:${number}|${PATTERN.slice(at, at + paddingOf(hash))}`
}

/** How the record is sent: mostly for its acceptance, sometimes for its delivery. */
export function wayOf(lane: number, number: number): 'durable' | 'sync' | 'async' {
  const hash = (hashOf(lane, number) >>> 8) % 40
  if (hash === 0) return 'sync'
  return hash === 1 ? 'async' : 'durable'
}

/** Every second record has one. */
export function keyFor(lane: number, number: number): string | null {
  return number % 2 === 0 ? `key ${lane}` : null
}

/** Lane and number of a value, or null for what was never made here. */
export function identityOf(value: string): { readonly lane: number; readonly number: number } | null {
  const colon = value.indexOf(':')
  const bar = value.indexOf('|', colon)
  if (colon < 1 || bar < 0) return null
  const lane = Number(value.slice(0, colon))
  const number = Number(value.slice(colon + 1, bar))
  return Number.isSafeInteger(lane) && Number.isSafeInteger(number) ? { lane, number } : null
}

function paddingOf(hash: number): number {
  if (hash % HUGE_ONE_IN === 0) return 60_000 + (hash % 40_000)
  if (hash % LARGE_ONE_IN === 0) return 4_000 + (hash % 4_000)
  return 20 + (hash % 160)
}

function hashOf(lane: number, number: number): number {
  let z = (Math.imul(lane + 1, 0x9e3779b9) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
  return (z ^ (z >>> 15)) >>> 0
}

function makePattern(): string {
  const codes = new Uint8Array(PATTERN_CHARS)
  for (let at = 0; at < PATTERN_CHARS; at++) codes[at] = 48 + (hashOf(at >>> 3, at) % 75)
  return Buffer.from(codes).toString('latin1')
}
