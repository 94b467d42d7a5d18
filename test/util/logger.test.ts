import { afterEach, describe, expect, it, vi } from 'vitest'
import { consoleLogger, LOG_LEVELS, type LogLevel, silentLogger } from '../../lib/util/index.js'

const LINES = ['debug', 'info', 'warn', 'error'] as const

function linesAt(level: LogLevel): string[] {
  const written: string[] = []
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
  const logger = consoleLogger(level)
  for (const name of LINES) logger[name](`message of ${name}`)
  return written
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe('consoleLogger', () => {
  it.each(LOG_LEVELS)('at %s writes what is at least as severe, to stderr', (level) => {
    const expected = LINES.slice(LOG_LEVELS.indexOf(level))
    expect(linesAt(level)).toHaveLength(expected.length)
  })

  it('writes one line with time, level, message and context; bigints as text', () => {
    const written: string[] = []
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    consoleLogger('info').warn('the broker is slow', { brokerId: 1, producerId: 12345678901234567890n })
    expect(written).toHaveLength(1)
    expect(written[0]).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z warn tandem-mq: the broker is slow \{"brokerId":1,"producerId":"12345678901234567890"\}\n$/,
    )
  })
})

describe('silentLogger', () => {
  it('writes nothing', () => {
    const write = vi.spyOn(process.stderr, 'write')
    for (const name of LINES) silentLogger[name]('message')
    expect(write).not.toHaveBeenCalled()
  })
})
