/** Every series of features.md part 5, in its order: the one table that all outputs read. */
import { CHANNEL_SERIES } from './channel-series.js'
import { CONNECTION_SERIES } from './connection-series.js'
import { CONSUMER_SERIES } from './consumer-series.js'
import { LATER_SERIES } from './later-series.js'
import { PROCESS_SERIES } from './process-series.js'
import { PRODUCER_SERIES } from './producer-series.js'
import type { SeriesRow } from './series.js'
import { WAL_SERIES } from './wal-series.js'

export const SERIES: readonly SeriesRow[] = [
  ...CHANNEL_SERIES,
  ...PRODUCER_SERIES,
  ...CONSUMER_SERIES,
  ...CONNECTION_SERIES,
  ...PROCESS_SERIES,
  ...LATER_SERIES,
  ...WAL_SERIES,
]
