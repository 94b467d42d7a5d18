/** Addresses to listen on. */
import { describe, expect, it } from 'vitest'
import { parseListenAddress } from '../../lib/config/index.js'

describe('parseListenAddress', () => {
  it.each([
    [':9091', undefined, 9_091],
    [':0', undefined, 0],
    ['localhost:65535', 'localhost', 65_535],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['[::1]:9091', '::1', 9_091],
    ['[fe80::1%eth0]:80', 'fe80::1%eth0', 80],
  ])('NT-9: %s', (address, host, port) => {
    expect(parseListenAddress(address)).toEqual({ host, port })
  })
  it.each([
    '',
    ':',
    'a',
    '9091',
    ':65536',
    ':-1',
    '::1:80',
    '[]:80',
    'a b:80',
    'u:p@h:80',
    'http://h:80',
    9_091,
    null,
    {},
  ])('CF-3: %j is none', (address) => {
    expect(parseListenAddress(address)).toBeUndefined()
  })
})
