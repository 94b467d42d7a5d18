/** The small languages of the command line: modes, escapes, formats, offsets, properties, delimiters. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { unescaped } from '../../lib/cli/escapes.js'
import { compileFormat, jsonFormat, type PrintedRecord, plainFormat } from '../../lib/cli/format.js'
import { fromKcat } from '../../lib/cli/kcat.js'
import { parseRange, timeOf } from '../../lib/cli/offset-words.js'
import { amount } from '../../lib/cli/output.js'
import { parseProperties, propertyOf } from '../../lib/cli/properties.js'
import { split } from '../../lib/cli/split.js'
import { UsageError } from '../../lib/cli/usage.js'

describe('kcat modes', () => {
  it.each([
    ['-P -t a', 'produce -t a'],
    ['-b x:1 -C -t a', 'consume -b x:1 -t a'],
    ['-L', 'metadata'],
    ['-b x -Q -t a:0:1', 'offsets -b x -t a:0:1'],
    ['-Ceq -t a', 'consume -eq -t a'],
    ['-G grp a b', 'consume -G grp a b'],
    ['-b x -G grp a', 'consume -b x -G grp a'],
    ['-t -P -C', 'consume -t -P'],
    ['produce -t a -P', 'produce -t a -P'],
    ['topics list', 'topics list'],
    ['--help', '--help'],
    ['-b x', '-b x'],
  ])('CM-1: %s is %s', (words, command) => {
    expect(fromKcat(words.split(' ')).join(' ')).toBe(command)
  })
})

describe('escapes and formats', () => {
  const record: PrintedRecord = {
    topic: 'orders',
    partition: 3,
    offset: 42,
    timestamp: 1700,
    key: Buffer.from('k'),
    value: Buffer.from('value'),
    headers: [
      ['a', Buffer.from('1')],
      ['b', null],
      ['c', Buffer.alloc(0)],
    ],
  }
  const printed = (format: string, of: Partial<PrintedRecord> = {}, nullText = '') =>
    Buffer.from(compileFormat(format, { nullText })({ ...record, ...of })).toString('latin1')

  it('CM-1: escapes are those of kcat, bytes included', () => {
    expect(unescaped('a\\tb\\n\\r\\\\\\q').toString()).toBe('a\tb\n\r\\q')
    expect([...unescaped('\\xff\\x4\\65\\0')]).toEqual([0xff, 4, 65, 0])
    expect(unescaped('').length).toBe(0)
  })

  it('CM-1: -f knows all tokens of kcat', () => {
    expect(printed('%t [%p] %o: %k(%K) = %s(%S) %T %h %%\\n')).toBe(
      'orders [3] 42: k(1) = value(5) 1700 a=1,b=NULL,c= %\n',
    )
    expect(printed('%R')).toBe('\0\0\0\x05')
    expect(printed('[%k|%K|%s|%S|%R]', { key: null, value: null }, 'NULL')).toBe('[NULL|-1|NULL|-1|\xff\xff\xff\xff]')
    expect(printed('[%k|%s|%h]', { key: null, value: null, headers: [] })).toBe('[||]')
  })

  it('CM-1: a token that does not exist is told before anything is read', () => {
    expect(() => compileFormat('%x', { nullText: '' })).toThrow(UsageError)
    expect(() => compileFormat('50%', { nullText: '' })).toThrow(UsageError)
  })

  it('CM-1: without -f the value and its delimiter, with -K the key before it', () => {
    const plain = (key: string | null, nullText = '') =>
      Buffer.from(
        plainFormat(Buffer.from('\n'), key === null ? null : Buffer.from(key), nullText)({ ...record, key: null }),
      ).toString()
    expect([plain(null), plain(':'), plain(':', 'NULL')]).toEqual(['value\n', ':value\n', 'NULL:value\n'])
  })

  it('CM-1: JSON loses nothing: bytes that are no text are base64', () => {
    const bytes = Buffer.from([0xff, 0, 1])
    const told = JSON.parse(Buffer.from(jsonFormat()({ ...record, value: bytes, key: null })).toString())
    expect(told).toEqual({
      topic: 'orders',
      partition: 3,
      offset: 42,
      timestamp: 1700,
      key: null,
      headers: [
        ['a', '1'],
        ['b', null],
        ['c', ''],
      ],
      value: { base64: bytes.toString('base64') },
    })
  })
})

describe('offsets, properties, amounts', () => {
  it('CM-1: -o takes the words of kcat and ISO times', () => {
    expect(parseRange(['beginning'])).toEqual({ start: { kind: 'beginning' }, untilMs: undefined })
    expect(parseRange(['-5']).start).toEqual({ kind: 'relative', records: 5 })
    expect(parseRange(['7']).start).toEqual({ kind: 'absolute', offset: 7 })
    expect(parseRange(['s@1000', 'e@2000'])).toEqual({ start: { kind: 'time', timestamp: 1000 }, untilMs: 2000 })
    expect(timeOf('2026-01-31T00:00:00Z')).toBe(Date.UTC(2026, 0, 31))
    for (const word of ['soon', '1.5', 's@never', '']) expect(() => parseRange([word])).toThrow(UsageError)
  })

  it('CM-1: properties in the words of librdkafka and Java, and our own paths', () => {
    expect(propertyOf('bootstrap.servers', 'a:1')).toEqual({ path: 'brokers', value: 'a:1' })
    expect(propertyOf('security.protocol', 'sasl_ssl')).toEqual({ path: 'securityProtocol', value: 'SASL_SSL' })
    expect(propertyOf('enable.ssl.certificate.verification', 'false')).toEqual({
      path: 'ssl.insecureSkipVerify',
      value: true,
    })
    expect(propertyOf('topic.auto.offset.reset', 'smallest')).toEqual({
      path: 'consumer.autoOffsetReset',
      value: 'earliest',
    })
    expect(propertyOf('acks', '1')).toEqual({ path: 'producer.acks', value: 1 })
    expect(propertyOf('acks', 'all')).toEqual({ path: 'producer.acks', value: 'all' })
    expect(propertyOf('producer.lingerMs', '7')).toEqual({ path: 'producer.lingerMs', value: 7 })
    expect(propertyOf('producer.idempotence', 'false')).toEqual({ path: 'producer.idempotence', value: false })
    expect(propertyOf('sasl.password', '12345')).toEqual({ path: 'sasl.password', value: '12345' })
    expect(parseProperties('-F', '# note\n\na = b=c \n!x\r\nd=')).toEqual([
      ['a', 'b=c'],
      ['d', ''],
    ])
    expect(() => parseProperties('-F', 'a=b\n=c')).toThrow('-F: line 2: expected name=value')
  })

  it('CM-1: amounts are told for people', () => {
    expect([amount(0), amount(999), amount(1000), amount(1_234_567)]).toEqual(['0 B', '999 B', '1.0 KB', '1.2 MB'])
  })
})

describe('cutting input', () => {
  const pieces = async (chunks: readonly Uint8Array[], delimiter: string, limit = 1000) => {
    async function* source() {
      yield* chunks
    }
    const found: string[] = []
    for await (const piece of split(source(), Buffer.from(delimiter), limit)) found.push(piece.toString('latin1'))
    return found
  }

  it('CM-1: pieces are the same however the stream is cut', async () => {
    const text = fc.array(fc.constantFrom('a', 'b', ';', '-'), { maxLength: 40 }).map((letters) => letters.join(''))
    await fc.assert(
      fc.asyncProperty(text, fc.constantFrom(';', ';-', '-;-'), fc.array(fc.nat(7)), async (whole, delimiter, cuts) => {
        const chunks: Uint8Array[] = []
        let at = 0
        for (const cut of cuts) {
          chunks.push(Buffer.from(whole.slice(at, at + cut)))
          at += cut
        }
        chunks.push(Buffer.from(whole.slice(at)))
        const expected = whole.split(delimiter)
        if (expected.at(-1) === '') expected.pop()
        expect(await pieces(chunks, delimiter)).toEqual(expected)
      }),
    )
  })

  it('CM-1: a piece without end is refused instead of filling the memory', async () => {
    await expect(pieces([Buffer.alloc(600), Buffer.alloc(600)], '\n')).rejects.toThrow(UsageError)
  })
})

describe('cutting a stream', () => {
  async function cut(chunks: readonly Buffer[], delimiter: string, limit = 1e9): Promise<string[]> {
    const found: string[] = []
    const source = (async function* () {
      yield* chunks
    })()
    for await (const piece of split(source, Buffer.from(delimiter), limit)) found.push(piece.toString('latin1'))
    return found
  }

  it('CM-1: gives the same pieces however the bytes arrive', async () => {
    for (const delimiter of ['\n', 'ab', 'aab', '--']) {
      for (const text of [
        '',
        'x',
        delimiter,
        `x${delimiter}`,
        `${delimiter}${delimiter}yy${delimiter}`,
        'aaabaab--a-\n-b',
      ]) {
        const expected = text.split(delimiter)
        if (expected.at(-1) === '') expected.pop()
        for (const size of [1, 2, 3, 5, 100]) {
          const bytes = Buffer.from(text)
          const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
            bytes.subarray(at * size, (at + 1) * size),
          )
          expect([delimiter, text, size, await cut(chunks, delimiter)]).toEqual([delimiter, text, size, expected])
        }
      }
    }
  })

  it('CM-1: a long piece is put together once, and one that is too long is refused', async () => {
    const chunks = Array.from({ length: 4_000 }, () => Buffer.alloc(16_384, 'x'))
    const startedMs = performance.now()
    const [piece, ...rest] = await cut(chunks, '\n')
    expect([piece?.length, rest]).toEqual([65_536_000, []])
    // Chunk by chunk this copies 131 GB, which takes longer than a test may.
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    await expect(cut(chunks, '\n', 1_000_000)).rejects.toThrow('more than 1000000 B')
  })
})
