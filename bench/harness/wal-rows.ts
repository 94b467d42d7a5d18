/**
 * The rows of the log benchmark: what is run, and which figures it is held against (wal.md 8).
 * Invariant: a goal is a claim about the median of all rounds; the floor is what is published elsewhere, for comparison.
 */
import { ALLOCATION_FLAGS, type LogCase, type WalCase, type WalMeasurement } from './wal-job.js'

const KIB = 1_024
const GIB = 1_024 ** 3
const MODES = ['os', 'periodic', 'immediate'] as const
const INTERVALS_MS = [10, 100, 1_000] as const
const OFFERED_PER_SECOND = 500_000

export interface Goal {
  readonly text: string
  /** Given the medians of all rounds; `rawSyncMs` is the P50 of a bare fdatasync here. */
  readonly isMet: (median: MedianOf, rawSyncMs: number) => boolean
}

/** The median of what `of` takes from each round. */
export type MedianOf = (of: (one: WalMeasurement) => number | undefined) => number

export interface BenchRow {
  readonly name: string
  /** One after the other on the same directory; the last one is the row's. */
  readonly cases: readonly WalCase[]
  readonly nodeArguments: readonly string[]
  readonly floor: string
  readonly goal: Goal | null
  /** Rounds, when they are not those of the whole run. */
  readonly rounds?: number
}

export interface Scale {
  readonly isQuick: boolean
  /** Records of the long recovery; 0 = left out. */
  readonly largeRecords: number
}

export const STORAGE: (scale: Scale) => LogCase = ({ isQuick }) => ({
  kind: 'storage',
  syncs: isQuick ? 100 : 1_000,
  bytes: isQuick ? 16 * KIB * KIB : 512 * KIB * KIB,
})

export function rowsOf(scale: Scale): BenchRow[] {
  return [
    ...appendRows(scale),
    ...offeredRows(scale),
    ...waitingRows(scale),
    ...sealedRows(scale),
    ...recoveryRows(scale),
    fullRow(scale),
    ...loopRows(scale),
    ...allocationRows(scale),
    ...producerRows(scale),
  ]
}

const rate = ({ records, seconds }: WalMeasurement): number => records / seconds
const row = (name: string, what: WalCase, floor: string, goal: Goal | null): BenchRow => ({
  name,
  cases: [what],
  nodeArguments: [],
  floor,
  goal,
})
const perSecond = (least: number): Goal => ({
  text: `>= ${(least / 1e6).toString()} M/s`,
  isMet: (median) => median(rate) >= least,
})

function appendRows({ isQuick }: Scale): BenchRow[] {
  const sizes = [
    { itemBytes: 100, records: isQuick ? 50_000 : 5_000_000, text: '100 B' },
    { itemBytes: KIB, records: isQuick ? 10_000 : 1_000_000, text: '1 KiB' },
  ]
  return sizes.flatMap(({ itemBytes, records, text }) => {
    const append = (durability: (typeof MODES)[number]) => ({ kind: 'append' as const, durability, itemBytes, records })
    const small = itemBytes === 100
    return [
      row(`append os, ${text}`, append('os'), '500 k/s', perSecond(small ? 2e6 : 6e5)),
      ...INTERVALS_MS.map((syncIntervalMs) =>
        row(
          `append periodic ${syncIntervalMs} ms, ${text}`,
          { ...append('periodic'), syncIntervalMs },
          '500 k/s',
          perSecond(small ? 2e6 : 6e5),
        ),
      ),
      row(`append immediate, ${text}`, append('immediate'), '500 k/s', perSecond(small ? 1e6 : 4e5)),
    ]
  })
}

function offeredRows({ isQuick }: Scale): BenchRow[] {
  const seconds = isQuick ? 1 : 5
  const goal: Goal = {
    text: 'P99 < 1 ms, P999 < 5 ms',
    isMet: (median) => median(({ accept }) => accept?.p99) < 1 && median(({ accept }) => accept?.p999) < 5,
  }
  const offered = (durability: (typeof MODES)[number], syncIntervalMs = 10): WalCase => ({
    kind: 'offered',
    durability,
    itemBytes: 100,
    perSecond: OFFERED_PER_SECOND,
    seconds,
    syncIntervalMs,
  })
  return [
    row('accept at 500 k/s, os, 100 B', offered('os'), 'P99 < 2 ms', goal),
    ...INTERVALS_MS.map((ms) =>
      row(`accept at 500 k/s, periodic ${ms} ms, 100 B`, offered('periodic', ms), 'P99 < 2 ms', {
        text: 'P99 < 1 ms; syncs = time / interval +- 5 %',
        isMet: (median) =>
          median(({ accept }) => accept?.p99) < 1 &&
          Math.abs(median(({ fdatasyncs, seconds: took }) => ((fdatasyncs ?? 0) * ms) / (took * 1_000)) - 1) <= 0.05,
      }),
    ),
    row('accept at 500 k/s, immediate, 100 B', offered('immediate'), 'P99 < 2 ms', {
      text: 'P99 < 1 ms (class A)',
      isMet: (median) => median(({ accept }) => accept?.p99) < 1,
    }),
  ]
}

function waitingRows({ isQuick }: Scale): BenchRow[] {
  const what = (durability: (typeof MODES)[number]): WalCase => ({
    kind: 'waiting',
    durability,
    itemBytes: 100,
    records: isQuick ? 200 : 5_000,
  })
  return [
    row('one waiting producer, immediate, 100 B', what('immediate'), '-', {
      text: 'P50 <= fdatasync P50 + 60 us',
      isMet: (median, rawSyncMs) => median(({ accept }) => accept?.p50) <= rawSyncMs + 0.06,
    }),
    row('one waiting producer, os, 100 B', what('os'), '-', null),
  ]
}

function sealedRows({ isQuick }: Scale): BenchRow[] {
  return MODES.map((durability) =>
    row(
      `append ${durability}, sealed batches of 16 KiB`,
      { kind: 'sealed', durability, batchBytes: 16 * KIB, batches: isQuick ? 2_000 : 100_000 },
      '-',
      durability === 'os'
        ? {
            text: '>= 1 GB/s, <= 50 ns per 100 B record (CPU)',
            isMet: (median) =>
              median(({ bytes, seconds }) => bytes / seconds) >= 1e9 &&
              median(({ cpuSeconds, records }) => (cpuSeconds * 1e9) / records) <= 50,
          }
        : null,
    ),
  )
}

function recoveryRows({ isQuick, largeRecords }: Scale): BenchRow[] {
  const goal: Goal = {
    text: '>= 5 M/s, < 256 MiB resident',
    isMet: (median) =>
      median(({ records, scanMs }) => (records * 1_000) / (scanMs ?? Number.NaN)) >= 5e6 &&
      median(({ peakRssBytes }) => peakRssBytes) < GIB / 4,
  }
  const after = (records: number, reads: boolean): readonly WalCase[] => [
    { kind: 'leave', itemBytes: 100, records },
    { kind: 'scan', itemBytes: 100, records, reads },
  ]
  const one = { nodeArguments: [], floor: '2 M/s', goal }
  const small = isQuick ? 50_000 : 1_000_000
  return [
    {
      ...one,
      name: `recovery scan and verify, ${small.toLocaleString('en')} x 100 B, after SIGKILL`,
      cases: after(small, true),
    },
    ...(largeRecords === 0
      ? []
      : [
          {
            ...one,
            name: `recovery scan and verify, ${largeRecords.toLocaleString('en')} x 100 B, after SIGKILL`,
            cases: after(largeRecords, true),
            rounds: 1,
          },
        ]),
  ]
}

function fullRow({ isQuick }: Scale): BenchRow {
  return row('full log: settle, room again', { kind: 'full', itemBytes: 100, times: isQuick ? 3 : 20 }, '-', {
    text: 'resumes < 100 ms after the first freed segment',
    isMet: (median) => median(({ resume }) => resume?.max) < 100,
  })
}

function loopRows({ isQuick }: Scale): BenchRow[] {
  return MODES.map((durability) =>
    row(
      `event loop at 500 k/s, ${durability}, rotating and recycling`,
      { kind: 'loop', durability, itemBytes: 100, perSecond: OFFERED_PER_SECOND, seconds: isQuick ? 1 : 10 },
      '-',
      {
        text: 'late P99 < 5 ms, max < 20 ms',
        isMet: (median) => median(({ loop }) => loop?.p99) < 5 && median(({ loop }) => loop?.max) < 20,
      },
    ),
  )
}

function allocationRows({ isQuick }: Scale): BenchRow[] {
  return MODES.map((durability) => ({
    ...row(
      `allocation per record, ${durability}`,
      { kind: 'allocation', durability, itemBytes: 100, records: isQuick ? 200_000 : 1_000_000 },
      '-',
      { text: '<= 2 B', isMet: (median) => median(({ bytesPerRecord }) => bytesPerRecord) <= 2 },
    ),
    nodeArguments: ALLOCATION_FLAGS,
  }))
}

function producerRows({ isQuick }: Scale): BenchRow[] {
  const records = isQuick ? 20_000 : 1_000_000
  const metrics: WalCase = { kind: 'metrics', durability: 'os', itemBytes: 100, records }
  return [
    row(
      `recovery end to end, ${records.toLocaleString('en')} x 100 B to an in-process broker`,
      { kind: 'endToEnd', durability: 'os', itemBytes: 100, records },
      '2 M/s (replay)',
      { text: 'first resend < 300 ms', isMet: (median) => median(({ firstResendMs }) => firstResendMs) < 300 },
    ),
    row('metrics of a producer with a log, CPU', metrics, '-', {
      text: '<= 3 %',
      isMet: (median) => median(({ metricsPercent }) => metricsPercent) <= 3,
    }),
  ]
}
