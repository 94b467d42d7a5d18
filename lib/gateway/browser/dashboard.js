/**
 * The live dashboard of a gateway: draws what its `stats` frames say (stats-shape.ts), each second.
 * Invariant: what comes from outside becomes text and numbers only, never markup.
 */
import { bytes, count, duration, line, Series } from './dashboard-format.js'
import { connect } from './tandem-mq.js'

/** @typedef {import('./stats-shape.js').StatsFrame} StatsFrame */
/** @typedef {readonly [name: string, value: string, isBad?: boolean]} Row */

/**
 * `of` gives the values of one moment, the first is the big one; undefined: this gateway does not say.
 * @typedef {object} Tile
 * @property {string} title
 * @property {(now: StatsFrame, rate: Rate) => readonly number[] | undefined} of
 * @property {(value: number) => readonly [number: string, unit: string]} shown
 */
/** @typedef {(total: (stats: StatsFrame) => number | undefined) => number | undefined} Rate Per second since the last frame. */

const SECONDS = 120
/** A young curve is stretched no further than this many values. */
const FEWEST = 30
const HEIGHT = 32
const SVG = 'http://www.w3.org/2000/svg'
const NOBODY = 'No consumer of this instance has a position.'
/** Partitions that fit on a page; the worst are shown. */
const MAX_PARTITIONS = 24

/** @param {number} value @returns {readonly [string, string]} */
const plain = (value) => [count(value), '']
/** @param {number} value @returns {readonly [string, string]} */
const perSecond = (value) => [count(value), '/s']
/** @param {number | undefined} value */
const listed = (value) => (value === undefined ? undefined : [value])

/** @type {readonly Tile[]} */
const TILES = [
  { title: 'Records published', of: (_, rate) => listed(rate((s) => s.producer?.successMessages)), shown: perSecond },
  {
    title: 'Bytes published',
    of: ({ producer }) => listed(producer?.bytesPerSecond),
    shown: (value) => [bytes(value)[0], `${bytes(value)[1]}/s`],
  },
  { title: 'Batches', of: (_, rate) => listed(rate((s) => s.producer?.batches)), shown: perSecond },
  {
    title: 'Latency p50, p99',
    of: ({ producer }) => producer && [producer.p50LatencyMs, producer.p99LatencyMs],
    shown: (value) => [duration(value), 'ms'],
  },
  { title: 'Frames to clients', of: (_, rate) => listed(rate((s) => s.gateway.messagesOut)), shown: perSecond },
  { title: 'Frames from clients', of: (_, rate) => listed(rate((s) => s.gateway.messagesIn)), shown: perSecond },
  { title: 'Clients', of: ({ gateway }) => [gateway.clients.websocket + gateway.clients.tcp], shown: plain },
  { title: 'Pending records', of: ({ producer }) => listed(producer?.pendingMessages), shown: plain },
]

/** @type {readonly { title: string, rows: (stats: StatsFrame) => readonly Row[] | undefined }[]} */
const PANELS = [
  { title: 'Lanes', rows: ({ channel, producer }) => channel && laneRows(channel, producer) },
  { title: 'Gateway', rows: ({ gateway }) => gatewayRows(gateway) },
  { title: 'Kafka', rows: (stats) => stats.connectionPool && kafkaRows(stats) },
]

/**
 * @param {NonNullable<StatsFrame['channel']>} channel
 * @param {StatsFrame['producer']} producer
 * @returns {readonly Row[]}
 */
function laneRows(channel, producer) {
  return [
    ['Records in active buffers', count(channel.activeRecords)],
    ['Bytes in active buffers', size(channel.activeBytes)],
    ['Sealed buffers', `${count(channel.sealedBuffers)}, ${size(channel.sealedBytes)}`],
    ['Spare arenas', count(channel.pooledBuffers)],
    ['Switches', count(channel.switches)],
    ...(producer === undefined ? [] : producerRows(producer)),
  ]
}

/**
 * @param {NonNullable<StatsFrame['producer']>} producer
 * @returns {readonly Row[]}
 */
function producerRows({ bufferUsedBytes, bufferLimitBytes, meanBatchRecords, compressionRatio }) {
  return [
    ['Memory', `${size(bufferUsedBytes)} of ${size(bufferLimitBytes)}`, bufferUsedBytes > bufferLimitBytes * 0.9],
    ['Records per batch', meanBatchRecords.toFixed(1)],
    ['Compressed to', `${(compressionRatio * 100).toFixed(0)} %`],
  ]
}

/**
 * @param {StatsFrame['gateway']} gateway
 * @returns {readonly Row[]}
 */
function gatewayRows({ clients, feeds, catchUps, cachedBytes, dropped }) {
  return [
    ['WebSocket clients', count(clients.websocket)],
    ['TCP clients', count(clients.tcp)],
    ['Partitions read', count(feeds)],
    ['Catching up', count(catchUps)],
    ['Recent records in memory', size(cachedBytes)],
    ['Records skipped for slow clients', count(dropped), dropped > 0],
  ]
}

/**
 * @param {StatsFrame} stats
 * @returns {readonly Row[]}
 */
function kafkaRows({ connectionPool, producer, consumer }) {
  const { totalConnections = 0, activeConnections = 0, connectionErrors = 0 } = connectionPool ?? {}
  return [
    ['Connections', `${totalConnections}, ${activeConnections} active`],
    ['Connection errors', count(connectionErrors), connectionErrors > 0],
    ['Requests in flight', count(producer?.inFlightRequests ?? 0)],
    ['Circuit', producer?.circuitState ?? 'closed', (producer?.circuitState ?? 'closed') !== 'closed'],
    ['Records that failed', count(producer?.failedMessages ?? 0), (producer?.failedMessages ?? 0) > 0],
    ['Partitions of our group', count(consumer?.assignedPartitions ?? 0)],
  ]
}

/** @param {number} value */
function size(value) {
  return bytes(value).join(' ')
}

/**
 * @param {string} tag
 * @param {string} [className]
 * @param {...(Node | string)} children
 */
function element(tag, className, ...children) {
  const made = document.createElement(tag)
  if (className !== undefined && className !== '') made.className = className
  made.append(...children)
  return made
}

/**
 * @param {string} tag
 * @param {Readonly<Record<string, string | number>>} attributes
 */
function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  return made
}

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id))

/** One big number and its curve. */
class TileView {
  #tile
  #number = element('p')
  #area = svg('path', { class: 'area' })
  #line = svg('path', {})
  #second = svg('path', { class: 'second' })
  #spark = svg('svg', { class: 'spark', preserveAspectRatio: 'none', 'aria-hidden': 'true' })
  #series = [new Series(SECONDS), new Series(SECONDS)]

  /** @param {Tile} tile */
  constructor(tile) {
    this.#tile = tile
    this.#spark.append(this.#area, this.#line, this.#second)
    this.root = element('article', 'card tile', element('h2', '', tile.title), this.#number, this.#spark)
    this.root.hidden = true
  }

  /**
   * @param {StatsFrame} stats
   * @param {Rate} rate
   */
  show(stats, rate) {
    const values = this.#tile.of(stats, rate)
    if (values === undefined) return
    this.root.hidden = false
    for (const [index, value] of values.entries()) this.#series[index]?.push(value)
    this.#number.replaceChildren(...values.flatMap((value, index) => this.#text(value, index)))
    const top = Math.max(...this.#series.flatMap(({ values: all }) => all))
    const { length } = this.#series[0]?.values ?? []
    const size = Math.max(FEWEST, length)
    const [first = '', second = ''] = this.#series.map((series) => line(series.values, { size, height: HEIGHT, top }))
    this.#spark.setAttribute('viewBox', `0 0 ${size} ${HEIGHT}`)
    this.#line.setAttribute('d', first)
    this.#second.setAttribute('d', second)
    this.#area.setAttribute('d', first === '' ? '' : `${first}L${size} ${HEIGHT}L${size - length + 1} ${HEIGHT}Z`)
  }

  /**
   * @param {number} value
   * @param {number} index
   */
  #text(value, index) {
    const [number, unit] = this.#tile.shown(value)
    if (index === 0) return [number, element('small', '', unit)]
    return [element('span', 'second', number, element('small', '', unit))]
  }
}

/** A list of names and values. */
class PanelView {
  #rows
  #body = element('tbody')

  /** @param {typeof PANELS[number]} panel */
  constructor({ title, rows }) {
    this.#rows = rows
    const table = element('table', '', this.#body)
    table.setAttribute('aria-label', title)
    this.root = element('section', 'card panel', element('h2', '', title), table)
    this.root.hidden = true
  }

  /** @param {StatsFrame} stats */
  show(stats) {
    const rows = this.#rows(stats)
    if (rows === undefined) return
    this.root.hidden = false
    this.#body.replaceChildren(
      ...rows.map(([name, value, isBad]) => rowOf(name, element('td', isBad ? 'is-bad' : '', value))),
    )
  }
}

/** How far readers are behind, the worst first. */
class LagView {
  #body = element('tbody')
  #note = element('p', 'empty', NOBODY)

  constructor() {
    const table = element('table', '', this.#body)
    table.setAttribute('aria-label', 'Lag by partition')
    this.root = element('section', 'card panel', element('h2', '', 'Lag by partition, records'), table, this.#note)
  }

  /** @param {StatsFrame} stats */
  show({ consumer, gateway }) {
    const known = Object.entries({ ...consumer?.lagByPartition, ...gateway.lagByPartition }).filter(
      ([, lag]) => lag >= 0,
    )
    const worst = known.sort(([a, x], [b, y]) => y - x || a.localeCompare(b, 'en', { numeric: true }))
    const shown = worst.slice(0, MAX_PARTITIONS)
    const top = Math.max(1, ...shown.map(([, lag]) => lag))
    this.#body.replaceChildren(
      ...shown.map(([name, lag]) => rowOf(name, barOf(lag / top), element('td', '', count(lag)))),
    )
    const more = known.length - shown.length
    this.#note.textContent = known.length === 0 ? NOBODY : `and ${more} more`
    this.#note.hidden = known.length > 0 && more === 0
  }
}

/**
 * @param {string} name
 * @param {...HTMLElement} cells
 */
function rowOf(name, ...cells) {
  const head = element('th', '', name)
  head.setAttribute('scope', 'row')
  return element('tr', '', head, ...cells)
}

/** @param {number} share 0 to 1 */
function barOf(share) {
  const bar = svg('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' })
  bar.append(svg('rect', { width: (share * 100).toFixed(2), height: 8 }))
  return element('td', 'bar', bar)
}

const tiles = TILES.map((tile) => new TileView(tile))
const panels = [new LagView(), ...PANELS.map((panel) => new PanelView(panel))]
byId('tiles').append(...tiles.map(({ root }) => root))
byId('panels').append(...panels.map(({ root }) => root))

/** @type {StatsFrame | null} */
let before = null

/** @param {StatsFrame} stats */
function show(stats) {
  const last = before
  before = stats
  /** @type {Rate} */
  const rate = (total) => {
    const [now, then] = [total(stats), last === null ? undefined : total(last)]
    if (last === null || now === undefined || then === undefined) return undefined
    const seconds = (stats.time - last.time) / 1000
    // A gateway that began anew counts from zero.
    return seconds <= 0 ? 0 : Math.max(0, now - then) / seconds
  }
  for (const tile of tiles) tile.show(stats, rate)
  for (const panel of panels) panel.show(stats)
}

/**
 * @param {string} state
 * @param {string} text
 */
function tell(state, text) {
  const pill = byId('state')
  pill.dataset.state = state
  pill.textContent = text
  document.body.classList.toggle('is-stale', state !== 'open')
}

const token = new URLSearchParams(location.search).get('token')
const health = await fetch('/healthz').then((response) => response.json())
const client = connect(health.path ?? '/mq', {
  ...(token === null ? {} : { token }),
  onState: ({ state, retryMs = 0 }) => {
    if (state === 'waiting') tell(state, `connection lost, again in ${Math.ceil(retryMs / 1000)} s`)
    else tell(state, state === 'open' ? 'live' : state)
  },
})
client.stats(show).catch((/** @type {Error} */ error) => {
  client.close()
  tell('refused', error.message)
})
