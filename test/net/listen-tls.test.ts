/** A TLS listener: who may come in, who they are, and that nothing of a half-done handshake is left. */
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { listen, type Peer, type TlsServerOptions } from '../../lib/net/index.js'
import { makeAuthority } from '../support/certificates.js'
import { atEnd, framed, nextFrame, open, rawClient, serve, whenClosed } from './support.js'

const authority = await makeAuthority()
const stranger = await makeAuthority()
const server = await authority.issue({ hosts: ['127.0.0.1'] })
const alice = await authority.issue({ client: true, name: 'alice' })
const mallory = await stranger.issue({ client: true, name: 'alice' })
const trusted = { ca: authority.cert }

/** A listener that echoes; it keeps the peers it met. */
async function echoing(tls: Partial<TlsServerOptions> = {}) {
  const peers: Peer[] = []
  const { port } = await serve(
    (transport, peer) => {
      peers.push(peer)
      transport.onFrame = (frame) => transport.write([framed(frame)])
    },
    { tls: { ...server, ca: authority.cert, ...tls } },
  )
  return { port, peers }
}

/** What becomes of a client: 'in' when it is answered, else the code it is refused with. */
async function fate(port: number, tls: object): Promise<string> {
  try {
    const client = await open(port, { tls: { ...trusted, ...tls } })
    // With TLS 1.3 a client is ready before the server has judged its certificate.
    const over = whenClosed(client).then(({ code }) => code)
    const echo = nextFrame(client).then(() => 'in')
    client.write([framed(Buffer.from('ping'))])
    return await Promise.race([over, echo])
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a TLS listener', () => {
  it('CL-6: client certificates: not asked for, asked for, demanded', async () => {
    // Told by an alert, or, behind a handshake that was done, by the end of the connection.
    const refused = expect.stringMatching(/^(AUTHENTICATION_FAILED|CONNECTION_CLOSED)$/)
    const none = await echoing()
    expect([await fate(none.port, {}), await fate(none.port, mallory)]).toEqual(['in', 'in'])
    expect(none.peers).toEqual([{ subject: null }, { subject: null }])

    const asked = await echoing({ clientCertificate: 'requested' })
    expect([await fate(asked.port, {}), await fate(asked.port, alice)]).toEqual(['in', 'in'])
    expect(await fate(asked.port, mallory)).toEqual(refused)
    expect(asked.peers).toEqual([{ subject: null }, { subject: 'CN=alice' }])

    const demanded = await echoing({ clientCertificate: 'required' })
    expect(await fate(demanded.port, alice)).toBe('in')
    expect([await fate(demanded.port, {}), await fate(demanded.port, mallory)]).toEqual([refused, refused])
    expect(demanded.peers).toEqual([{ subject: 'CN=alice' }])
  })

  it('a locked key opens with its passphrase', async () => {
    const locked = await authority.issue({ hosts: ['127.0.0.1'], passphrase: 'open sesame' })
    const { port } = await echoing({ ...locked, passphrase: 'open sesame' })
    expect(await fate(port, {})).toBe('in')
  })

  it('what cannot be used is refused by name, without quoting it', async () => {
    const options = { host: '127.0.0.1', port: 0, maxFrameBytes: 1000 }
    const locked = await authority.issue({ hosts: ['127.0.0.1'], passphrase: 'open sesame' })
    const wrong = { ...locked, passphrase: 'wrong phrase' }
    for (const tls of [{ ...server, key: alice.key }, { ...server, cert: 'secret text' }, wrong]) {
      const error = await listen({ ...options, tls }, () => {}).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'INVALID_CONFIG' })
      expect(JSON.stringify(error)).not.toMatch(/secret text|wrong phrase|BEGIN/)
    }
  })

  it('close ends connections that are open, in their handshake, or silent, and counts none of them before', async () => {
    const listener = await listen({ host: '127.0.0.1', port: 0, maxFrameBytes: 1000, tls: server }, (transport) =>
      transport.pause(),
    )
    atEnd(() => listener.close())
    const silent = rawClient(listener.port)
    await once(silent, 'connect')
    const halfDone = rawClient(listener.port)
    halfDone.write(Buffer.from([0x16, 0x03, 0x01])) // the beginning of a ClientHello
    const ready = await open(listener.port, { tls: trusted })
    const over = whenClosed(ready)
    const ends = [once(silent, 'close'), once(halfDone, 'close')]
    for (const socket of [silent, halfDone]) socket.resume()
    await listener.close()
    await over
    await Promise.all(ends)
    expect(listener.connections).toBe(0)
  })

  it('one that speaks plaintext is shown out; the next one comes in', async () => {
    const { port, peers } = await echoing()
    const plain = rawClient(port)
    plain.resume()
    const over = once(plain, 'close')
    plain.write(framed(Buffer.from('hello')))
    await over
    expect(await fate(port, {})).toBe('in')
    expect(peers).toHaveLength(1)
  })
})
