/** How values appear in findings and printouts. */
import { describe, expect, it } from 'vitest'
import { kindOf, looksSecret, shown, text } from '../../lib/config/shown.js'

class Registry {
  readonly inside = 1
}

describe('shown', () => {
  it.each([
    [7, 7],
    ['x', 'x'],
    [null, null],
    [true, true],
    [7n, '7n'],
    [Symbol('x'), '[symbol]'],
    [() => 1, '[function]'],
    [
      [1, 'a', [() => 1]],
      [1, 'a', ['[function]']],
    ],
    [{ a: { b: 1 } }, { a: { b: 1 } }],
    [new Registry(), '[Registry]'],
    [new Map(), '[Map]'],
    [Buffer.from('x'), '[Buffer]'],
    ['user:password@host:9092', '[hidden]@host:9092'],
    ['sasl://user:p@ss@host', '[hidden]@host'],
    ['me@example.org', 'me@example.org'],
    [
      { password: 'x', apiKey: 'x', key: 'x', Token: 'x', keyFile: 'f' },
      { password: '[hidden]', apiKey: '[hidden]', key: '[hidden]', Token: '[hidden]', keyFile: 'f' },
    ],
  ])('CF-3: case %# is copied and safe', (value, expected) => {
    expect(shown(value)).toEqual(expected)
    expect(() => structuredClone(shown(value))).not.toThrow()
  })
  it('CF-3: depth, length and text are bounded', () => {
    const deep: Record<string, unknown> = {}
    deep.self = deep
    expect(JSON.stringify(shown(deep)).length).toBeLessThan(100)
    expect(shown(Array.from({ length: 1_000 }, () => 1))).toHaveLength(100)
    expect(shown('x'.repeat(5_000))).toHaveLength(1_003)
    expect(text('y'.repeat(5_000)).length).toBeLessThan(70)
    expect(() => shown('@'.padStart(200_000, ':'))).not.toThrow()
  })
  it('CF-3: what cannot be read is said to be that', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect([shown(proxy), kindOf(proxy), text(proxy)]).toEqual(['[unreadable]', '[unreadable]', '[unreadable]'])
  })
  it('CF-3: texts are quoted, marks of ours are not', () => {
    expect([text('a'), text('[hidden]'), text('[::1'), text([1, 2]), text({}), text(undefined)]).toEqual([
      '"a"',
      '[hidden]',
      '"[::1"',
      'a list of 2',
      'an object',
      'undefined',
    ])
  })
  it.each([
    'password',
    'PASSWORD',
    'passphrase',
    'sslKeyPassphrase',
    'secret',
    'clientSecret',
    'token',
    'key',
    'privateKey',
  ])('CL-6: %s looks like a secret', (name) => {
    expect(looksSecret(name)).toBe(true)
  })
  it.each(['keyFile', 'keySerializer', 'username', 'mechanism', 'concurrencyBy'])('CL-6: %s does not', (name) => {
    expect(looksSecret(name)).toBe(false)
  })
})
