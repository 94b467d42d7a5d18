/**
 * docs/channel.md and its pictures against the code: every number they show, every name they use, every series they list.
 * That its blocks compile, run and print what they promise is checked with those of the other documents.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BufferedChannel, ByteChannel, ItemChannel, makeStrategy } from '../../lib/channel/index.js'
import { ERROR_CODES, ERROR_REASONS, FakeClock } from '../../lib/index.js'
import { SERIES } from '../../lib/metrics/index.js'
import { ROOT, read, tableRows } from './markdown.js'

const PICTURES = 'docs/pictures'
const guide = read('docs/channel.md')
const pictures = readdirSync(join(ROOT, PICTURES))
/** Pictures lie in one folder, whichever guide shows them. */
const guides = ['docs/channel.md', 'docs/gateway.md'].map(read).join('\n')

const numberOf = (cell = '') => Number(cell.replaceAll(',', ''))
/** Outside of code blocks. */
const inBackticks = (text: string) =>
  [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name)

describe('docs/channel.md', () => {
  it('CH-6: the table of the default rule says what the rule says', () => {
    const rows = tableRows(guide, 'records').map(([records, elapsedMs, sum, seals]) => ({
      records,
      elapsedMs,
      sum,
      seals,
    }))
    const isDue = makeStrategy()
    const { maxRecords, windowMs } = new ByteChannel().settings
    for (const { records, elapsedMs, sum, seals } of rows) {
      const stats = { records: numberOf(records), elapsedMs: numberOf(elapsedMs), bytes: 0, maxBytes: Infinity }
      const value = (0.4 * stats.elapsedMs) / windowMs + (0.6 * stats.records) / maxRecords
      expect(sum?.endsWith(`= ${value.toFixed(2)}`), `${records}, ${elapsedMs}`).toBe(true)
      expect(
        seals?.startsWith(isDue({ ...stats, maxRecords, windowMs }) ? 'yes' : 'no'),
        `${records}, ${elapsedMs}`,
      ).toBe(true)
    }
    expect(rows.length).toBeGreaterThanOrEqual(6)
  })

  it.each([
    [4000, 2500, 10_000],
    [2000, 4250, 8500],
    [500, 5000, 2500],
  ])(
    'CH-6: at %i records a second a buffer switches after %i ms with %i records, as drawn',
    async (perSecond, ms, records) => {
      const clock = new FakeClock()
      const channel = new ByteChannel({ clock, copyOnWrite: false })
      const payload = new Uint8Array(1)
      let written = 0
      while (channel.stats().switches === 0) {
        for (; written < Math.max(1, (clock.monotonicMs() * perSecond) / 1000); written++) channel.write(payload)
        if (channel.stats().switches === 0) await clock.advance(1)
      }
      // A write asks once per 1/64 of the capacity, so the composite rule may be noticed that much later.
      const late = channel.counters().writtenRecords - records
      expect(late).toBeGreaterThanOrEqual(0)
      expect(late).toBeLessThanOrEqual(perSecond === 2000 ? channel.settings.maxRecords / 64 : perSecond / 1000)
      expect(clock.monotonicMs()).toBe(Math.floor(ms + (late * 1000) / perSecond))
      const drawn = `${ms.toLocaleString('en-US')} ms`
      expect(guide).toContain(drawn)
      expect(read(`${PICTURES}/switch-rule.svg`)).toContain(drawn)
      await channel.close({ drain: false })
    },
  )

  it('CH-4, CH-5, CH-17: gives the real defaults', () => {
    const bytes = new ByteChannel()
    const items = new ItemChannel()
    expect(bytes.settings).toMatchObject({
      maxRecords: 10_000,
      maxBytes: 100 * 1024 ** 2,
      windowMs: 5000,
      fillPercent: 100,
    })
    expect(bytes.settings).toMatchObject({ timeWeight: 0.4, sizeWeight: 0.6, threshold: 0.85 })
    expect([items.settings.maxRecords, items.settings.windowMs]).toEqual([1000, 5000])
    expect(bytes.limitBytes).toBe(64 * 1024 ** 2)
    for (const text of [
      '`windowMs` (5,000)',
      '`maxRecords` (10,000; for items 1,000)',
      '`bufferMemoryBytes` (64 MiB)',
    ]) {
      expect(guide).toContain(text)
    }
  })

  it('CH-11: the sizes at which reading changes are those of the table', () => {
    const rows = tableRows(guide, 'payload').map(([payload]) => payload)
    expect(rows).toEqual(['below 1,024 B', '1,024 to 32,768 B', 'above 32,768 B'])
    const picture = read(`${PICTURES}/ownership.svg`)
    expect(rows.filter((size) => !picture.includes(`>${size}<`))).toEqual([])
    expect([1023, 1024, 32_768, 32_769].map((size) => heldWhileRead(size, 'safe'))).toEqual([0, 1024, 32_768, 0])
    expect([1023, 1024, 32_768, 32_769].map((size) => heldWhileRead(size, 'zeroCopy'))).toEqual([
      1023, 1024, 32_768, 32_769,
    ])
  })

  it('CH-17: the marks that are drawn and told are the real ones', async () => {
    const channel = new ByteChannel({ bufferMemoryBytes: 10_000, onFull: 'reject' })
    const crossings: number[] = []
    channel.on('backpressure', ({ usedBytes }) => crossings.push(usedBytes))
    channel.on('drain', ({ usedBytes }) => crossings.push(usedBytes))
    const payload = new Uint8Array(100)
    expect(() => {
      while (true) channel.write(payload)
    }).toThrow('no room')
    const hard = channel.usedBytes
    for (let chunk = channel.tryRead(); chunk !== undefined; chunk = channel.tryRead()) chunk.release()
    const [soft = 0, resume = 0] = crossings
    const drawn = [`soft ${soft / 100} %`, `resume ${resume / 100} %`, `hard ${hard / 100} %`]
    expect(drawn).toEqual(['soft 80 %', 'resume 60 %', 'hard 95 %'])
    const picture = read(`${PICTURES}/water-marks.svg`)
    expect(drawn.filter((mark) => !picture.includes(`>${mark}<`))).toEqual([])
    for (const text of ['`softPercent` (80)', '`resumePercent` (60)', '`hardPercent` (95)'])
      expect(guide).toContain(text)
    await channel.close()
  })

  it('ME-1: lists the thirteen series, in their order, and no query asks for another', () => {
    const thirteen = SERIES.filter(({ isCompat }) => isCompat)
    expect(thirteen).toHaveLength(13)
    const shown = thirteen.map(({ name, labels }) => `\`${name}${labels.length > 0 ? `{${labels.join(',')}}` : ''}\``)
    expect(tableRows(guide, 'series').map(([name]) => name)).toEqual(shown)
    const asked = [...guide.matchAll(/tandem_mq_([a-z_]+)/g)].map(([, name = '']) => name.replace(/_bucket$/, ''))
    const names = SERIES.map(({ name }) => name)
    expect(asked.filter((name) => name !== '' && !names.includes(name) && !name.startsWith('('))).toEqual([])
    expect(asked.length).toBeGreaterThan(10)
  })

  it('names every method, and only codes and reasons that exist', () => {
    const source = ['buffered', 'byte', 'item'].map((kind) => read(`lib/channel/${kind}-channel.ts`)).join('\n')
    const hidden = [...source.matchAll(/^ {2}protected (?:override |abstract |async |get )*(\w+)[(<]/gm)].map(
      ([, name]) => name,
    )
    const methods = [BufferedChannel, ByteChannel, ItemChannel].flatMap((type) =>
      Object.getOwnPropertyNames(type.prototype),
    )
    const own = [...new Set(methods)].filter((name) => name !== 'constructor' && !hidden.includes(name))
    expect(own.filter((name) => !new RegExp(`\\b${name}\\b`).test(guide))).toEqual([])
    const capitals = inBackticks(guide).filter(
      (text) => /^[A-Z]+_[A-Z_]+$/.test(text) || /^(TIMEOUT|CALLBACK)$/.test(text),
    )
    const known: readonly string[] = [...ERROR_CODES, ...ERROR_REASONS]
    expect(capitals.length).toBeGreaterThan(20)
    expect(capitals.filter((name) => !known.includes(name))).toEqual([])
  })

  it('names examples and programs that exist', () => {
    const named = [...guide.matchAll(/(?:examples|bench)\/[\w-]+(?:\.ts)?/g)].map(([path]) =>
      path.replace(/(?:\.ts)?$/, '.ts'),
    )
    expect(named.length).toBeGreaterThan(1)
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})

describe.each(pictures)('docs/pictures/%s', (file) => {
  const svg = read(`${PICTURES}/${file}`)

  it('is shown by a guide, with a text instead of it', () => {
    const alt = new RegExp(`!\\[([^\\]]+)\\]\\(pictures/${file}\\)`).exec(guides)?.[1] ?? ''
    expect(alt.length).toBeGreaterThan(60)
  })

  it('says in itself what it shows, and brings its own paper in both schemes', () => {
    expect(svg).toMatch(/role="img" aria-labelledby="title desc"/)
    expect(svg).toMatch(/<title id="title">[^<]{10,}<\/title>/)
    expect(svg).toMatch(/<desc id="desc">[^<]{60,}<\/desc>/)
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? []
    expect(svg).toContain(`<rect class="paper" width="${width}" height="${height}"`)
    expect(svg).toContain('@media (prefers-color-scheme: dark)')
  })

  it('has the style of the others, and needs nothing but itself', () => {
    expect(styleOf(svg)).toBe(styleOf(read(`${PICTURES}/${pictures[0]}`)))
    const classes = new Set([...svg.matchAll(/class="([^"]+)"/g)].flatMap(([, names = '']) => names.split(' ')))
    expect([...classes].filter((name) => !styleOf(svg).includes(`.${name} `))).toEqual([])
    const outside = [...svg.matchAll(/(?:href|src)="([^"]*)"|url\(([^)]*)\)/g)].map(
      ([, link, url]) => link ?? url ?? '',
    )
    expect(outside.filter((target) => !target.startsWith('#'))).toEqual([])
  })
})

/** What a chunk still counts for after it was read. */
function heldWhileRead(size: number, readMode: 'safe' | 'zeroCopy'): number {
  const channel = new ByteChannel({ readMode, maxRecords: 1 })
  channel.write(new Uint8Array(size))
  const chunk = channel.tryRead()
  const held = channel.usedBytes
  chunk?.release()
  expect(channel.usedBytes).toBe(0)
  return held
}

function styleOf(svg: string): string {
  return /<style>[\s\S]*<\/style>/.exec(svg)?.[0] ?? ''
}
