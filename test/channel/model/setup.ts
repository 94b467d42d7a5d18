/**
 * What a run begins with, and its steps: plain data made from a seed, so that a failing story can be told, shortened and replayed.
 * Why "swarm": each run plays with a random part of the operations only; rare ones meet each other oftener that way.
 */
import { type RandomSource, randomInt, seededRandom } from '../../../lib/util/index.js'
import type { Limits } from './budget.js'
import type { Tuning } from './rules.js'

export interface Setup {
  readonly seed: number
  readonly kind: 'bytes' | 'items' | 'batches'
  readonly readMode: 'safe' | 'zeroCopy'
  readonly copyOnWrite: boolean
  /** Items with bytes of their own; without, only their number is bounded. */
  readonly hasSizes: boolean
  readonly onFull: 'block' | 'reject' | 'dropOldest'
  readonly policy: 'water-mark' | 'no' | 'two'
  readonly limits: Limits
  readonly maxBlockMs: number
  readonly maxSpares: number
  readonly tuning: Tuning
}

/** One operation; `a` and `b` choose among what exists when it is played. */
export interface Step {
  readonly op: Op
  readonly a: number
  readonly b: number
  /** What promises may do afterwards: nothing, go on by one turn of the microtask queue, or finish. */
  readonly then: 'stay' | 'tick' | 'settle'
}

const COMMON = [
  'write',
  'writeAsync',
  'abort',
  'seal',
  'update',
  'badUpdate',
  'ready',
  'advance',
  'turn',
  'close',
] as const
const RECORDS = [
  'tryRead',
  'read',
  'readBatch',
  'badBatch',
  'onData',
  'off',
  'finish',
  'iterate',
  'next',
  'return',
] as const
const LEASES = ['release', 'releaseTwice'] as const
const BATCHES = ['take', 'putBack', 'recycle', 'recycleTwice'] as const

export type Op = (typeof COMMON | typeof RECORDS | typeof LEASES | typeof BATCHES)[number]

/** How often an operation is chosen where it takes part; 1 unless said here. */
const WEIGHTS: Partial<Record<Op, number>> = {
  write: 14,
  writeAsync: 5,
  seal: 2,
  advance: 5,
  turn: 2,
  tryRead: 4,
  read: 4,
  readBatch: 2,
  onData: 1.5,
  finish: 3,
  next: 3,
  release: 6,
  take: 5,
  putBack: 2,
  recycle: 5,
  close: 0.4,
  badUpdate: 0.4,
  badBatch: 0.2,
}
/** These always take part. */
const ALWAYS = new Set<Op>(['write', 'advance'])

function pick<T>(random: RandomSource, from: readonly T[]): T {
  return from[randomInt(random, from.length)] as T
}

export function makeTuning(random: RandomSource): Partial<Tuning> {
  const changes: Partial<{ -readonly [K in keyof Tuning]: Tuning[K] }> = {}
  if (random.next() < 0.5) changes.maxRecords = pick(random, [1, 2, 3, 5, 20, 64, 200, 1000])
  if (random.next() < 0.4) changes.maxBytes = pick(random, [1, 100, 1000, 40_000, Number.POSITIVE_INFINITY])
  if (random.next() < 0.4) changes.windowMs = pick(random, [0, 1, 10, 100, 5000, Number.POSITIVE_INFINITY])
  if (random.next() < 0.4) changes.switchStrategy = pick(random, ['default', 'default', 'time', 'size', 'own'] as const)
  if (random.next() < 0.15) changes.fillPercent = pick(random, [1, 29, 50, 100])
  if (random.next() < 0.15) changes.threshold = pick(random, [0.3, 0.5, 0.85])
  if (random.next() < 0.1) changes.timeWeight = pick(random, [0.4, 1])
  return changes
}

const BASE: Tuning = Object.freeze({
  maxRecords: 5,
  maxBytes: Number.POSITIVE_INFINITY,
  windowMs: 100,
  switchStrategy: 'default',
  timeWeight: 0.4,
  sizeWeight: 0.6,
  threshold: 0.85,
  fillPercent: 100,
})

export function makeSetup(seed: number): Setup {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1))
  const [softPercent, resumePercent, hardPercent] = pick(random, [
    [80, 60, 95],
    [80, 60, 95],
    [50, 30, 75],
    [100, 100, 100],
    [20, 0, 90],
  ] as const)
  const hasSizes = random.next() < 0.6
  return {
    seed,
    kind: pick(random, ['bytes', 'bytes', 'items', 'batches'] as const),
    readMode: pick(random, ['safe', 'zeroCopy'] as const),
    copyOnWrite: random.next() < 0.6,
    hasSizes,
    onFull: pick(random, ['block', 'block', 'reject', 'dropOldest'] as const),
    policy: pick(random, ['water-mark', 'water-mark', 'no', 'two'] as const),
    limits: {
      bytes: pick(random, [100, 300, 1000, 3000, 70_000, 10_000_000]),
      records: hasSizes && random.next() < 0.5 ? Number.POSITIVE_INFINITY : pick(random, [1, 3, 8, 20]),
      softPercent,
      resumePercent,
      hardPercent,
    },
    maxBlockMs: pick(random, [0, 5, 50, 60_000]),
    maxSpares: pick(random, [0, 1, 2, 2]),
    tuning: { ...BASE, ...makeTuning(random) },
  }
}

export function makeSteps({ seed, kind }: Setup): Step[] {
  const random = seededRandom(Math.imul(seed, 0x85ebca6b) + 1)
  const all: readonly Op[] = [
    ...COMMON,
    ...(kind === 'batches' ? BATCHES : RECORDS),
    ...(kind === 'bytes' ? LEASES : []),
  ]
  const chosen = all.filter((op) => ALWAYS.has(op) || random.next() < 0.6)
  const bounds: number[] = []
  let sum = 0
  for (const op of chosen) {
    sum += (WEIGHTS[op] ?? 1) * (0.3 + random.next())
    bounds.push(sum)
  }
  const patience = random.next()
  return Array.from({ length: 20 + randomInt(random, 41) }, () => {
    const roll = random.next() * sum
    const op = chosen[bounds.findIndex((bound) => roll < bound)] as Op
    const a = randomInt(random, 1 << 30)
    const b = randomInt(random, 1 << 30)
    const then = random.next() < 0.4 + 0.6 * patience ? 'settle' : random.next() < 0.5 ? 'tick' : 'stay'
    return { op, a, b, then } as const
  })
}
