/**
 * What a series is: name, type, help, labels, buckets, and which numbers of which source it shows.
 * Why rows instead of calls: Prometheus, OpenTelemetry, a sink and API.md all read the same table, so none can differ
 * from another (features.md part 5, trap 23).
 * Invariant: a reader only looks; what it gives are running totals (counter, histogram) or present levels (gauge).
 */
import type { ChannelMeasures } from '../channel/index.js'
import type { ConnectionMeasures } from '../cluster/index.js'
import type { ConsumerMeasures } from '../consumer/index.js'
import type { ProducerMeasures } from '../producer/index.js'
import type { Buckets } from '../util/index.js'
import type { ProcessMeasures } from './process-measures.js'

export type SeriesType = 'counter' | 'gauge' | 'histogram'

/** Who feeds a series. `core` is there in every instance; a series of another room exists once its source is attached. */
export type Room = 'core' | 'process' | 'queue' | 'net' | 'gateway' | 'wal'

/** Several values with the same labels become one. Levels that cannot be added up take the worst. */
export type Combine = 'sum' | 'max' | 'min'

export type LabelledReading = readonly [labels: readonly string[], value: number | Buckets]
/**
 * One value of a series without labels, or one per set of label values, in the order of the row's labels; nothing: it is
 * not known, or not measured.
 */
export type Reading = number | Buckets | undefined | readonly LabelledReading[]

/** What each kind of source gives. */
export interface MeasuresOf {
  readonly channel: ChannelMeasures
  readonly producer: ProducerMeasures
  readonly consumer: ConsumerMeasures
  readonly connections: ConnectionMeasures
  readonly process: ProcessMeasures
}
export type SourceKind = keyof MeasuresOf

/** What a reader may need besides its source. */
export interface SeriesFacts {
  /** Records per second. */
  readonly targetThroughputPerSec: number
}

export type Readers = {
  readonly [Kind in SourceKind]?: (measures: MeasuresOf[Kind], facts: SeriesFacts) => Reading
}

export interface SeriesRow {
  /** Without prefix. */
  readonly name: string
  readonly type: SeriesType
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram; empty otherwise. */
  readonly buckets: readonly number[]
  readonly room: Room
  /** One of the thirteen that `compatPrefixes` repeat. */
  readonly isCompat: boolean
  readonly combine: Combine
  /** Label values that exist from the start, with 0. */
  readonly zeros: readonly (readonly string[])[]
  readonly from: Readers
}

export interface SeriesOptions {
  readonly labels?: readonly string[]
  readonly zeros?: readonly (readonly string[])[]
  readonly room?: Room
  readonly isCompat?: boolean
  readonly combine?: Combine
}

export function counter(name: string, help: string, from: Readers, options: SeriesOptions = {}): SeriesRow {
  return row(name, 'counter', help, [], from, options)
}

export function gauge(name: string, help: string, from: Readers, options: SeriesOptions = {}): SeriesRow {
  return row(name, 'gauge', help, [], from, options)
}

export function histogram(
  name: string,
  help: string,
  buckets: readonly number[],
  from: Readers,
  options: SeriesOptions = {},
): SeriesRow {
  return row(name, 'histogram', help, buckets, from, options)
}

/** A series without labels shows 0 from the start; with labels, only what `zeros` names. */
function row(
  name: string,
  type: SeriesType,
  help: string,
  buckets: readonly number[],
  from: Readers,
  options: SeriesOptions,
): SeriesRow {
  const { labels = [], room = 'core', isCompat = false, combine = 'sum' } = options
  const zeros = options.zeros ?? (labels.length === 0 ? [[]] : [])
  return { name, type, help, labels, buckets, room, isCompat, combine, zeros, from }
}

/** Zeros of a series with one label. */
export function each(...values: readonly string[]): readonly (readonly string[])[] {
  return values.map((value) => [value])
}

/** Readings of a series with one label, from what a source keeps by name. */
export function byName(values: Iterable<readonly [string | number, number | Buckets]>): LabelledReading[] {
  return [...values].map(([name, value]) => [[String(name)], value])
}
