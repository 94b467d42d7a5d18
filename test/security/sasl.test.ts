/**
 * CL-6: a server that asks for less than we were told to speak, that does not know the password it claims to know, that
 * answers nonsense, or that says our secrets back. Each time: one MQError in time, no weaker mechanism, no secret told.
 */
import { describe, expect, it } from 'vitest'
import { SaslAuthenticate, SaslHandshake } from '../../lib/protocol/index.js'
import { type Reply, type SaslScript, scramBroker, speakSasl } from '../cluster/sasl/support.js'
import type { Arrived } from '../cluster/scripted-broker.js'
import { codesOf, DIAL_MS, formsOf, type HostileBroker, hostileBroker, PASSWORD, TOKEN, USER, Victim } from './stage.js'

const scram = { mechanism: 'SCRAM-SHA-256', username: USER, password: PASSWORD } as const
const plain = { mechanism: 'PLAIN', username: USER, password: PASSWORD } as const
const bearer = { mechanism: 'OAUTHBEARER', token: async () => TOKEN } as const
/** Of the protocol: one connection for the question, and perhaps one more try. */
const FEW = 6

function messagesOf({ broker }: HostileBroker): string[] {
  return broker.of(SaslAuthenticate).map(({ body }) => Buffer.from(body.authBytes).toString())
}

async function refusedBy(script: () => SaslScript, sasl: object = scram) {
  const hostile = await hostileBroker()
  speakSasl(hostile.broker, script)
  const victim = new Victim({ brokers: hostile.address, sasl: sasl as typeof scram })
  return { error: await victim.refusal(), hostile, victim }
}

describe('a server that refuses', () => {
  it('CL-6: connect is one attempt to log in, each time, because accounts are locked after some failed ones', async () => {
    const { hostile, victim } = await refusedBy(() => ({ answer: () => ({ errorCode: 58 }) }), plain)
    await new Promise((resolve) => setImmediate(resolve))
    expect(messagesOf(hostile)).toHaveLength(1)
    await victim.refusal()
    expect(messagesOf(hostile)).toHaveLength(2)
    await victim.close() // Whatever came in the background would have come by now.
    expect(messagesOf(hostile)).toHaveLength(2)
  })
})

describe('a server that offers something weaker', () => {
  it.each<[string, readonly string[]]>([
    ['PLAIN', ['PLAIN']],
    ['PLAIN and a longer SCRAM', ['SCRAM-SHA-512', 'PLAIN']],
    ['nothing', []],
  ])('CL-6: %s instead of what was configured: refused, and no password leaves', async (_what, mechanisms) => {
    const { error, hostile } = await refusedBy(() => ({ mechanisms, answer: () => ({}) }))
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    for (const mechanism of mechanisms) expect(error.message).toContain(mechanism)
    expect(messagesOf(hostile)).toEqual([])
    const asked = hostile.broker.of(SaslHandshake).map(({ body }) => body.mechanism)
    expect([asked.length <= FEW, new Set(asked)]).toEqual([true, new Set(['SCRAM-SHA-256'])])
  })

  it('CL-6: a handshake that succeeds and lists only PLAIN changes nothing: SCRAM is spoken', async () => {
    const hostile = await hostileBroker()
    hostile.broker.on(SaslHandshake, (request) => request.reply({ errorCode: 0, mechanisms: ['PLAIN'] }))
    hostile.broker.on(SaslAuthenticate, (request) =>
      request.reply({ errorCode: 0, errorMessage: null, authBytes: new Uint8Array(0) }),
    )
    const error = await new Victim({ brokers: hostile.address, sasl: scram }).refusal()
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect(messagesOf(hostile).filter((text) => !/^n,,n=alice,r=[^,]+$/.test(text))).toEqual([])
  })

  it.each([0, 1, 2])('CL-6: SaslHandshake offered no higher than version %i and no SaslAuthenticate', async (max) => {
    const hostile = await hostileBroker()
    hostile.broker.ranges.set(SaslHandshake.key, { min: 0, max })
    hostile.broker.ranges.delete(SaslAuthenticate.key)
    const error = await new Victim({ brokers: hostile.address, sasl: plain }).refusal()
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect(hostile.broker.count(SaslHandshake) + hostile.broker.count(SaslAuthenticate)).toBe(0)
  })
})

describe('SCRAM with a server that does not know the password', () => {
  const spoiledFirst: [string, (text: string) => string][] = [
    ['a nonce that is only ours', (text) => text.replace('theirs', '')],
    ['a nonce that is not ours', (text) => text.replace(/^r=./, 'r=#')],
    ['a nonce that is empty', (text) => text.replace(/^r=[^,]*/, 'r=')],
    ['1 iteration', (text) => text.replace(/i=.*/, 'i=1')],
    ['4095 iterations', (text) => text.replace(/i=.*/, 'i=4095')],
    ['10 million iterations', (text) => text.replace(/i=.*/, 'i=10000000')],
    ['4 thousand million iterations', (text) => text.replace(/i=.*/, 'i=4294967295')],
    ['a negative count', (text) => text.replace(/i=.*/, 'i=-4096')],
    ['a broken count', (text) => text.replace(/i=.*/, 'i=4096.5')],
    ['a count in words', (text) => text.replace(/i=.*/, 'i=many')],
    ['a count in another base', (text) => text.replace(/i=.*/, 'i=0x2000')],
    ['no count', (text) => text.replace(/,i=.*/, '')],
    ['no salt', (text) => text.replace(/,s=[^,]*/, '')],
    ['an empty salt', (text) => text.replace(/s=[^,]*/, 's=')],
    ['a salt that is not base64', (text) => text.replace(/s=[^,]*/, 's=!!!')],
    ['no nonce', (text) => text.replace(/r=[^,]*,/, '')],
    ['an extension that must be understood', (text) => `m=future,${text}`],
    ['one at the end', (text) => `${text},m=future`],
    ['two counts', (text) => `${text},i=1`],
    ['an error', () => 'e=other-error'],
    ['nothing', () => ''],
    ['a megabyte', (text) => `${text},x=${'y'.repeat(1_000_000)}`],
  ]
  it.each(spoiledFirst)('CL-6: first message with %s: no proof leaves', async (_what, first) => {
    const { error, hostile } = await refusedBy(() => scramBroker('sha256', PASSWORD, { first }))
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, retryable: false })
    expect(messagesOf(hostile).filter((text) => text.includes('p='))).toEqual([])
  })

  const spoiledFinal: [string, (text: string) => string][] = [
    ['a wrong signature', (text) => `v=${Buffer.alloc(32, 7).toString('base64')}${text.slice(0, 0)}`],
    ['a signature that is cut', (text) => text.slice(0, 20)],
    ['an empty signature', () => 'v='],
    ['no signature', () => 'x=y'],
    ['nothing', () => ''],
    ['our own proof said back', () => 'p=biws'],
    ['an error under error code 0', () => `e=invalid-proof for ${PASSWORD}`],
  ]
  it.each(spoiledFinal)('CL-6: last message with %s: nothing is sent to it any more', async (_what, final) => {
    const { error, hostile } = await refusedBy(() => scramBroker('sha256', PASSWORD, { final }))
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, retryable: false })
    const asked = hostile.broker.requests.map(({ api }) => api.name)
    expect(new Set(asked)).toEqual(new Set(['ApiVersions', 'SaslHandshake', 'SaslAuthenticate']))
  })

  it('CL-6: a refusal is final: no second try with the same password', async () => {
    const { error, hostile, victim } = await refusedBy(() => scramBroker('sha256', 'another'))
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    const startedMs = performance.now()
    const refused = await victim.producer.sendSync('orders', 'x').catch((reason: unknown) => reason)
    expect(codesOf(refused)).toContain('AUTHENTICATION_FAILED')
    expect(performance.now() - startedMs).toBeLessThan(5 * DIAL_MS)
    expect(hostile.broker.count(SaslHandshake)).toBeLessThanOrEqual(FEW)
  })
})

describe('a server that answers nonsense', () => {
  type Nonsense = (request: Arrived<typeof SaslAuthenticate>) => void
  const answer = { errorCode: 0, errorMessage: null, authBytes: Buffer.from('r=x'), sessionLifetimeMs: 0 }
  const size = (bytes: number) => {
    const head = Buffer.alloc(4)
    head.writeInt32BE(bytes)
    return head
  }
  const nonsense: [string, Nonsense][] = [
    ['garbage of a legal size', (r) => r.raw(Buffer.concat([size(64), Buffer.alloc(64, 0xff)]))],
    ['a frame of two gigabytes', (r) => r.raw(size(0x7fff_ffff))],
    ['a frame of a negative size', (r) => r.raw(size(-1))],
    ['a frame of no bytes', (r) => r.raw(size(0))],
    ['the right correlation id and nothing else', (r) => r.raw(Buffer.concat([size(4), size(r.correlationId)]))],
    ['a cut answer', (r) => r.raw(resized(r.encode(answer), -3))],
    ['authBytes longer than the answer', (r) => r.raw(lengthened(r.encode(answer)))],
    ['another correlation id', (r) => r.reply(answer, r.correlationId + 1)],
    ['two answers to one question', (r) => r.raw(Buffer.concat([r.encode(answer), r.encode(answer)]))],
    ['the end of the connection', (r) => r.transport.destroy(new Error('bye') as never)],
    ['silence', () => {}],
  ]
  for (const [name, sasl] of Object.entries({ plain, scram, bearer })) {
    it.each(nonsense)(`W-15, CL-6: ${name}, %s`, async (_what, act) => {
      const hostile = await hostileBroker()
      hostile.broker.on(SaslHandshake, (r) => r.reply({ errorCode: 0, mechanisms: [r.body.mechanism] }))
      hostile.broker.on(SaslAuthenticate, act)
      const error = await new Victim({ brokers: hostile.address, sasl }).refusal()
      expect(error.family, String(error)).toMatch(/connection|auth/)
      expect(hostile.broker.accepted).toBeLessThanOrEqual(FEW)
    })
  }

  it.each([34, 35, -1, 1, 999])('CL-6: error %i instead of a handshake', async (errorCode) => {
    const hostile = await hostileBroker()
    hostile.broker.on(SaslHandshake, (r) => r.reply({ errorCode, mechanisms: [] }))
    const error = await new Victim({ brokers: hostile.address, sasl: plain }).refusal()
    expect(error.family, String(error)).toMatch(/connection|auth/)
    expect(messagesOf(hostile)).toEqual([])
  })

  it('CL-6: a refused token that is never refused in the end: bounded', async () => {
    const { error, hostile } = await refusedBy(
      () => ({ answer: () => ({ bytes: '{"status":"invalid_token"}' }) }),
      bearer,
    )
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    expect(messagesOf(hostile).length).toBeLessThanOrEqual(2 * FEW)
  })

  it('CL-6: ten thousand mechanisms with names of a kilobyte: the error stays readable', async () => {
    const mechanisms = Array.from({ length: 10_000 }, (_, index) => `${index}`.padEnd(1000, 'X'))
    const { error } = await refusedBy(() => ({ mechanisms, answer: () => ({}) }))
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    expect(JSON.stringify(error).length).toBeLessThan(10_000)
  })
})

describe('a server that says our secrets back', () => {
  const echoes: [string, (said: string) => Reply][] = [
    ['in the text of error 58', (said) => ({ errorCode: 58, errorMessage: `no entry with ${said}` })],
    ['in the text of an unknown error', (said) => ({ errorCode: 999, errorMessage: said })],
    ['in a challenge', (said) => ({ bytes: `{"status":"invalid_token","why":"${said}"}` })],
    ['between control characters', (said) => ({ errorCode: 58, errorMessage: `\u0007${said}\u001b[2J` })],
    ['at the edge of what is shown', (said) => ({ errorCode: 58, errorMessage: `${'x'.repeat(290)}${said}` })],
  ]
  for (const [name, sasl] of Object.entries({ plain, scram, bearer })) {
    for (const [what, reply] of echoes) {
      if (name === 'plain' && what === 'in a challenge') continue // It has nothing to say to a broker that agrees.
      it(`CL-6: ${name}, ${what}`, async () => {
        // A server of SCRAM never saw the message of PLAIN: that last form it could not say.
        const forms = formsOf(name === 'bearer' ? TOKEN : PASSWORD)
        for (const said of name === 'scram' ? forms.slice(0, -1) : forms) {
          const { victim } = await refusedBy(() => ({ answer: () => reply(said) }), sasl)
          await victim.close() // asks whether anything that was said holds a secret
        }
      })
    }
  }

  it('CL-6: in the list of mechanisms', async () => {
    const { victim } = await refusedBy(() => ({ mechanisms: formsOf(PASSWORD), answer: () => ({}) }), plain)
    await victim.close()
  })
})

function resized(frame: Buffer, by: number): Buffer {
  const cut = Buffer.from(frame.subarray(0, frame.length + by))
  cut.writeInt32BE(cut.length - 4, 0)
  return cut
}

/** The length of authBytes (a compact one in version 2) claims more than there is. */
function lengthened(frame: Buffer): Buffer {
  const at = frame.indexOf(Buffer.from('r=x'))
  const copy = Buffer.from(frame)
  copy[at - 1] = 0x7f
  return copy
}
