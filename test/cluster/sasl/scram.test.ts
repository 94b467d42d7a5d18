import { describe, expect, it } from 'vitest'
import type { SaslExchange } from '../../../lib/cluster/sasl/mechanism.js'
import { Scram } from '../../../lib/cluster/sasl/scram.js'
import { escapedName, MAX_ITERATIONS } from '../../../lib/cluster/sasl/scram-messages.js'
import { MQError } from '../../../lib/errors/index.js'
import { expectHidden, scramBroker } from './support.js'

const NOTHING = new Uint8Array(0)

async function said(exchange: SaslExchange, challenge: string | Uint8Array): Promise<string | undefined> {
  const answer = await exchange.next(Buffer.from(challenge as Uint8Array))
  return answer === undefined ? undefined : Buffer.from(answer).toString('utf8')
}

async function refusalOf(run: () => Promise<unknown>): Promise<MQError> {
  const error = await run().then(
    (value) => new Error(`expected a refusal, got ${String(value)}`),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MQError)
  expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, retryable: false })
  return error as MQError
}

describe('SCRAM', () => {
  it('W-22: the example of RFC 7677 for SHA-256, message by message', async () => {
    const scram = new Scram('sha256', 'user', 'pencil', () => 'rOprNGfwEbeRWgbNEkqO')
    const exchange = await scram.begin()
    expect(await said(exchange, NOTHING)).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
    const first = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
    expect(await said(exchange, first)).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    )
    expect(await said(exchange, 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')).toBeUndefined()
  })

  it.each(['sha256', 'sha512'] as const)('W-22: a broker that knows the password is believed with %s', async (hash) => {
    const password = 'pässwörd, = ,= naïve'
    const broker = scramBroker(hash, password)
    const exchange = await new Scram(hash, 'a=b,c', password).begin()
    let message = await said(exchange, NOTHING)
    expect(message).toMatch(/^n,,n=a=3Db=2Cc,r=[A-Za-z0-9+/]{32}$/)
    for (let round = 0; message !== undefined; round++) {
      const { bytes = '', errorCode = 0 } = broker.answer(Buffer.from(message), round) ?? {}
      expect(errorCode).toBe(0)
      message = await said(exchange, bytes)
    }
  })

  it('W-22: no two exchanges share a nonce', async () => {
    const scram = new Scram('sha256', 'user', 'pencil')
    const firsts = await Promise.all(Array.from({ length: 50 }, async () => said(await scram.begin(), NOTHING)))
    expect(new Set(firsts).size).toBe(50)
  })

  it('W-22: names are escaped and nothing else is', () => {
    expect(escapedName('a,b=c=2Cd')).toBe('a=2Cb=3Dc=3D2Cd')
  })

  const good = 's=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'
  it.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /no SCRAM message first/],
    ['an attribute demanded', `m=ext,r=mine!theirs,${good}`, /\(m=\)/],
    ['an attribute demanded at the end', `r=mine!theirs,${good},m=ext`, /\(m=\)/],
    ['an error at once', 'e=unknown-user', /error/],
    ['no nonce', good, /not r=,s=,i=/],
    ['no salt', 'r=mine!theirs,i=4096', /not r=,s=,i=/],
    ['no count', 'r=mine!theirs,s=AAAA', /not r=,s=,i=/],
    ['another order', 'r=mine!theirs,i=4096,s=AAAA', /not r=,s=,i=/],
    ['a part twice', `r=mine!theirs,${good},i=4096`, /twice/],
    ['our nonce alone', `r=mine!,${good}`, /does not continue ours/],
    ['a nonce of another', `r=yours!theirs,${good}`, /does not continue ours/],
    ['our nonce in the middle', `r=xmine!theirs,${good}`, /does not continue ours/],
    ['a blank in the nonce', `r=mine! theirs,${good}`, /does not continue ours/],
    ['an empty salt', 'r=mine!theirs,s=,i=4096', /no SCRAM message first/],
    ['a salt that is not base64', 'r=mine!theirs,s=#%&!,i=4096', /not base64/],
    ['a salt with a tail', 'r=mine!theirs,s=AAAA=,i=4096', /not base64/],
    ['4095 iterations', 'r=mine!theirs,s=AAAA,i=4095', /4095 iterations, expected 4096/],
    ['one iteration', 'r=mine!theirs,s=AAAA,i=1', /1 iterations/],
    ['no iteration', 'r=mine!theirs,s=AAAA,i=0', /not a number/],
    ['a negative count', 'r=mine!theirs,s=AAAA,i=-4096', /not a number/],
    ['a count in exponents', 'r=mine!theirs,s=AAAA,i=1e9', /not a number/],
    ['a hostile count', 'r=mine!theirs,s=AAAA,i=2147483647', /2147483647 iterations/],
    ['one more than we do', `r=mine!theirs,s=AAAA,i=${MAX_ITERATIONS + 1}`, /iterations/],
    ['a count without end', `r=mine!theirs,s=AAAA,i=${'9'.repeat(400)}`, /not a number/],
    ['text without attributes', 'hello', /no SCRAM message first/],
    ['a name of two letters', `rr=mine!theirs,${good}`, /no SCRAM message first/],
    ['a NUL', `r=mine!theirs\0,${good}`, /no SCRAM message first/],
    ['broken UTF-8', Buffer.from([0x72, 0x3d, 0xff, 0xfe]), /no SCRAM message first/],
    ['a message of 5 KB', `r=mine!${'t'.repeat(5000)},${good}`, /no SCRAM message first/],
  ])('W-22: a first message with %s is refused at once', async (_what, first, text) => {
    const exchange = await new Scram('sha256', 'user', 'pencil-4711', () => 'mine!').begin()
    await said(exchange, NOTHING)
    const startMs = performance.now()
    const error = await refusalOf(() => said(exchange, first))
    expect(error.message).toMatch(text)
    expect(performance.now() - startMs).toBeLessThan(100) // Nothing was derived.
    expectHidden(error, 'pencil-4711')
  })

  it('W-22: extensions that are not demanded are passed over', async () => {
    const broker = scramBroker('sha256', 'pencil', { final: (text) => `${text},x=tension` })
    const exchange = await new Scram('sha256', 'user', 'pencil').begin()
    const proof = await said(exchange, reply(broker, (await said(exchange, NOTHING)) ?? '', 0))
    expect(await said(exchange, reply(broker, proof ?? '', 1))).toBeUndefined()
  })

  it.each<[string, (text: string) => string | Uint8Array, RegExp]>([
    ['another signature', () => `v=${Buffer.alloc(32).toString('base64')}`, /wrong signature/],
    ['one bit changed', (text) => `v=${flipped(text.slice(2))}`, /wrong signature/],
    [
      'half the signature',
      (text) => `v=${Buffer.from(text.slice(2), 'base64').subarray(0, 16).toString('base64')}`,
      /wrong signature/,
    ],
    ['an empty message', () => '', /no SCRAM message last/],
    ['no signature', () => 'x=1', /without a signature/],
    ['a signature that is not base64', () => 'v=!!', /without a signature/],
    ['an error', () => 'e=invalid-proof', /refused: invalid-proof/],
    ['an extension demanded', (text) => `${text},m=more`, /\(m=\)/],
    ['the proof sent back', () => 'p=AAAA', /without a signature/],
    ['broken UTF-8', () => Buffer.from([0x76, 0x3d, 0xc3, 0x28]), /no SCRAM message last/],
  ])('W-22: a last message with %s is refused: the broker has not proved itself', async (_what, final, text) => {
    const broker = scramBroker('sha512', 'pencil-4711', { final })
    const exchange = await new Scram('sha512', 'user', 'pencil-4711').begin()
    const proof = await said(exchange, reply(broker, (await said(exchange, NOTHING)) ?? '', 0))
    const error = await refusalOf(() => said(exchange, reply(broker, proof ?? '', 1)))
    expect(error.message).toMatch(text)
    expectHidden(error, 'pencil-4711')
  })

  it('W-22: who answers without knowing the password does not get through', async () => {
    const impostor = scramBroker('sha256', 'another password')
    const exchange = await new Scram('sha256', 'user', 'pencil').begin()
    const proof = await said(exchange, reply(impostor, (await said(exchange, NOTHING)) ?? '', 0))
    const { errorCode } = impostor.answer(Buffer.from(proof ?? ''), 1) ?? {}
    expect(errorCode).toBe(58)
    const error = await refusalOf(() => said(exchange, `v=${Buffer.alloc(32, 7).toString('base64')}`))
    expect(error.message).toContain('does not know this password')
  })

  it('W-22: deriving does not block the event loop, and is done once for the same salt', async () => {
    const scram = new Scram('sha512', 'user', 'pencil')
    const first = (salt: string) => ({ nonce: 'x', salt: Buffer.from(salt), iterations: 400_000, text: '' })
    let turns = 0
    const counting = setInterval(() => turns++, 1)
    const keys = scram.keysFor(first('one'))
    expect(scram.keysFor(first('one'))).toBe(keys)
    await keys
    clearInterval(counting)
    expect(turns).toBeGreaterThan(3)
    expect(scram.keysFor(first('two'))).not.toBe(keys)
  })

  it.each(['', 'tab\there', 'nul\0', 'line\u2028', 'lone \ud800', 'private \ue000', 'turned \u202e', 'del\x7f'])(
    'CL-6: a password that cannot be prepared (%j) is INVALID_CONFIG, and is not shown',
    (password) => {
      let error: unknown
      try {
        new Scram('sha256', 'user', `${password}${password === '' ? '' : 'secret-4711'}`)
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ code: 'INVALID_CONFIG', context: { path: 'sasl.password' } })
      expectHidden(error, 'secret-4711')
    },
  )
})

function reply(broker: ReturnType<typeof scramBroker>, message: string, round: number): Uint8Array | string {
  return broker.answer(Buffer.from(message), round)?.bytes ?? ''
}

function flipped(base64: string): string {
  const bytes = Buffer.from(base64, 'base64')
  bytes[5] = (bytes[5] as number) ^ 1
  return bytes.toString('base64')
}
