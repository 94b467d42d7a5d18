/**
 * From sources to samples: the one place where values are read. Prometheus, OpenTelemetry and sinks show what it gives.
 * Why the sources are asked and do not tell: the hot path only counts in plain fields, and who never looks pays nothing.
 * Invariants: a counter never falls, because the totals of a source that goes are kept; all samples of one collection
 * were read in one turn, so counts that belong together agree (PR-22); label values exist once per series.
 */
import { findMQError } from '../errors/index.js'
import type { Buckets, Logger } from '../util/index.js'
import { ERRORS_ROW } from './connection-series.js'
import { Readings } from './readings.js'
import type { MeasuresOf, Reading, Room, SeriesFacts, SeriesRow, SourceKind } from './series.js'
import { SERIES } from './series-table.js'

/** A value with its labels, constant ones included. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number | Buckets
}

/** All samples of a series under one name. */
export interface Family {
  readonly row: SeriesRow
  /** With prefix. */
  readonly name: string
  readonly samples: readonly Sample[]
}

export interface CollectorOptions {
  readonly prefix: string
  readonly compatPrefixes: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly facts: SeriesFacts
  readonly logger: Logger
}

/** Readings by name of the series, without prefix: what a room with series of its own gives. */
export type RoomReadings = Readonly<Record<string, Reading>>

interface Source {
  /** Readings of every series it feeds. */
  readonly read: (into: Map<SeriesRow, Readings>) => void
  /** What it gave last: its counters must not fall when it throws. */
  last: ReadonlyMap<SeriesRow, Readings>
  isFailing: boolean
}

const isCumulative = (row: SeriesRow) => row.type !== 'gauge'
const anyRow = () => true

export class Collector {
  readonly #options: CollectorOptions
  readonly #sources = new Set<Source>()
  readonly #rooms = new Set<Room>(['core'])
  readonly #base = new Map<SeriesRow, Readings>() // of sources that went, and of errors counted here
  #cached: readonly Family[] | null = null

  constructor(options: CollectorOptions) {
    this.#options = options
  }

  /** Series that exist now: those of the core, and of rooms that were attached once. */
  get rows(): readonly SeriesRow[] {
    return SERIES.filter((row) => this.#rooms.has(row.room))
  }

  /** Every name of a row: under the prefix, and under each compatible one if it is a series of channels. */
  namesOf(row: SeriesRow): readonly string[] {
    const { prefix, compatPrefixes } = this.#options
    const prefixes = row.isCompat ? [prefix, ...compatPrefixes.filter((other) => other !== prefix)] : [prefix]
    return prefixes.map((each) => each + row.name)
  }

  /** Gives the function that detaches; the totals of what was detached stay counted. */
  attach<Kind extends SourceKind>(kind: Kind, measures: () => MeasuresOf[Kind]): () => void {
    const { facts } = this.#options
    if (kind === 'process') this.#rooms.add('process')
    return this.#add((into) => {
      for (const [part, of] of partsOf(kind, measures())) {
        for (const row of SERIES) {
          const reader = row.from[part] as ((of: unknown, facts: SeriesFacts) => Reading) | undefined
          if (reader !== undefined) readingsOf(into, row).putAll(reader(of, facts))
        }
      }
    })
  }

  /** A room that names its readings itself; its series exist from now on. */
  attachRoom(room: Room, readings: () => RoomReadings): () => void {
    const rows = SERIES.filter((row) => row.room === room)
    this.#rooms.add(room)
    return this.#add((into) => {
      const given = readings()
      for (const row of rows) readingsOf(into, row).putAll(given[row.name])
    })
  }

  /** What is no MQError (an aborted call rejects with the caller's own reason) is not counted. */
  countError(component: string, error: unknown): void {
    const found = findMQError(error)
    if (found === undefined) return
    this.#cached = null
    readingsOf(this.#base, ERRORS_ROW).put([component, found.code], 1)
  }

  /** Every sample, read now; asked again in the same turn, the same ones. */
  collect(): readonly Family[] {
    if (this.#cached !== null) return this.#cached
    const values = new Map(this.rows.map((row) => [row, Readings.withZeros(row)]))
    addAll(values, this.#base, anyRow)
    for (const source of this.#sources) {
      this.#read(source)
      addAll(values, source.last, source.isFailing ? isCumulative : anyRow)
    }
    this.#cached = this.rows.flatMap((row) => this.#familiesOf(row, values.get(row) as Readings))
    queueMicrotask(() => {
      this.#cached = null
    })
    return this.#cached
  }

  /** Lets every source go; counters keep their totals, levels become what nobody has. */
  detachAll(): void {
    for (const source of [...this.#sources]) this.#detach(source)
  }

  #add(read: Source['read']): () => void {
    const source: Source = { read, last: new Map(), isFailing: false }
    this.#sources.add(source)
    this.#cached = null
    return () => this.#detach(source)
  }

  #detach(source: Source): void {
    if (!this.#sources.delete(source)) return
    this.#cached = null
    this.#read(source)
    addAll(this.#base, source.last, isCumulative)
  }

  /** A source that throws is told once per streak, and costs its own levels only. */
  #read(source: Source): void {
    const own = new Map<SeriesRow, Readings>()
    try {
      source.read(own)
      source.last = own
      source.isFailing = false
    } catch (error) {
      if (!source.isFailing) this.#options.logger.error('a source of metrics threw', { error: String(error) })
      source.isFailing = true
    }
  }

  #familiesOf(row: SeriesRow, readings: Readings): Family[] {
    const samples = [...readings.entries()].map(({ labels, value }) => ({ labels: this.#labelled(row, labels), value }))
    return this.namesOf(row).map((name) => ({ row, name, samples }))
  }

  #labelled(row: SeriesRow, values: readonly string[]): Record<string, string> {
    const own = row.labels.map((label, at) => [label, values[at] as string] as const)
    return { ...this.#options.labels, ...Object.fromEntries(own) }
  }
}

/** The lanes of a producer are one more channel. */
function partsOf(kind: SourceKind, measures: MeasuresOf[SourceKind]): [SourceKind, unknown][] {
  if (kind !== 'producer') return [[kind, measures]]
  return [
    ['producer', measures],
    ['channel', (measures as MeasuresOf['producer']).lanes],
  ]
}

function readingsOf(values: Map<SeriesRow, Readings>, row: SeriesRow): Readings {
  let readings = values.get(row)
  if (readings === undefined) {
    readings = new Readings(row)
    values.set(row, readings)
  }
  return readings
}

function addAll(
  into: Map<SeriesRow, Readings>,
  from: ReadonlyMap<SeriesRow, Readings>,
  wanted: (row: SeriesRow) => boolean,
): void {
  for (const [row, readings] of from) {
    if (!wanted(row)) continue
    for (const { labels, value } of readings.entries()) readingsOf(into, row).put(labels, value)
  }
}
