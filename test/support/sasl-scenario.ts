/**
 * Conversations about SASL that a broker must answer as Apache Kafka does, told as lines: what was sent, what came.
 * Why a scenario and no fixture bytes: salts, nonces and lifetimes differ in each run, the course of it does not. The same
 * lines are expected of a real Kafka (test/integration) and of the in-process broker (test/broker), so one vouches for the
 * other.
 */
import { fileURLToPath } from 'node:url'
import { SIZE_BYTES, type TlsOptions } from '../../lib/net/index.js'
import { ApiVersions, Metadata, SaslAuthenticate, SaslHandshake } from '../../lib/protocol/index.js'
import { RawClient } from '../broker/raw-client.js'

export interface SaslStage {
  readonly address: string
  /** Where sessions end after seconds. */
  readonly shortAddress: string
  readonly tls: TlsOptions
  readonly user: string
  readonly password: string
  /** An unsecured token of this owner. */
  token(owner: string): string
}

type Story = (say: Talk) => Promise<void>

/** One connection: every line that was sent and came is told. */
class Talk {
  readonly lines: string[] = []
  readonly #client: RawClient
  readonly stage: SaslStage

  constructor(client: RawClient, stage: SaslStage) {
    this.#client = client
    this.stage = stage
  }

  async versions(): Promise<void> {
    await this.#tell('ApiVersions', async () => (await this.#client.request(ApiVersions, 0, {})).errorCode)
  }

  async metadata(): Promise<void> {
    await this.#tell(
      'Metadata',
      async () => `${(await this.#client.request(Metadata, 5, { topics: [] })).brokers.length} broker`,
    )
  }

  async handshake(mechanism: string, version = 1): Promise<void> {
    await this.#tell(`SaslHandshake ${version} ${mechanism}`, async () => {
      const { errorCode, mechanisms } = await this.#client.request(SaslHandshake, version, { mechanism })
      return `${errorCode} ${[...mechanisms].sort().join(' ')}`.trim()
    })
  }

  /** Returns what the broker said. */
  async authenticate(what: string, token: string | Buffer, version = 2): Promise<Buffer> {
    let said: Uint8Array = Buffer.alloc(0)
    await this.#tell(`SaslAuthenticate ${version} ${what}`, async () => {
      const answer = await this.#client.request(SaslAuthenticate, version, { authBytes: Buffer.from(token) })
      said = answer.authBytes
      const lifetime = answer.sessionLifetimeMs > 0 ? ' for a while' : ''
      const bytes = said.length === 0 ? '' : ' bytes'
      // Every broker words its refusals in its own way; that it says something is what clients count on.
      const text = answer.errorMessage === null ? ' null' : answer.errorMessage === '' ? '' : ' and a text'
      return `${answer.errorCode}${bytes}${lifetime}${text}`
    })
    return Buffer.from(said)
  }

  /** A token without a request around it, as after SaslHandshake 0. */
  async bareToken(what: string, token: string): Promise<void> {
    await this.#tell(`bare ${what}`, async () => {
      const size = Buffer.alloc(SIZE_BYTES)
      size.writeInt32BE(Buffer.byteLength(token))
      const answer = await this.#client.exchange(Buffer.concat([size, Buffer.from(token)]))
      if (answer === null) throw new Error('closed')
      return answer.length > SIZE_BYTES ? 'bytes' : 'nothing'
    })
  }

  async closed(): Promise<void> {
    await this.#client.closed
    this.lines.push('closed')
  }

  async #tell(sent: string, ask: () => Promise<unknown>): Promise<void> {
    let came: unknown
    try {
      came = await ask()
    } catch {
      came = 'closed'
    }
    this.lines.push(`${sent} -> ${came}`)
  }
}

const plain = ({ user, password }: SaslStage) => `\0${user}\0${password}`
const bearer = (token: string) => `n,,\x01auth=Bearer ${token}\x01\x01`

const STORIES: Readonly<Record<string, Story>> = {
  'a stranger asks for something else': (say) => say.metadata(),
  'also after ApiVersions': async (say) => {
    await say.versions()
    await say.metadata()
  },
  'ApiVersions comes once': async (say) => {
    await say.versions()
    await say.versions()
  },
  'a mechanism that is not offered': async (say) => {
    await say.versions()
    await say.handshake('GSSAPI')
    await say.closed()
  },
  'a token without a handshake': (say) => say.authenticate('PLAIN', plain(say.stage)).then(() => {}),
  'two handshakes': async (say) => {
    await say.handshake('PLAIN')
    await say.handshake('PLAIN')
    await say.closed()
  },
  'ApiVersions behind the handshake': async (say) => {
    await say.handshake('PLAIN')
    await say.versions()
    await say.closed()
  },
  'PLAIN: a wrong password': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('wrong password', `\0${say.stage.user}\0wrong`)
    await say.closed()
  },
  'PLAIN: nobody of this name': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('wrong name', '\0nobody\0wrong')
    await say.closed()
  },
  'PLAIN: no name, no password': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('no name', '\0\0secret')
    await say.closed()
  },
  'PLAIN: an authorization id of somebody else': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('as bob', `bob${plain(say.stage)}`)
    await say.closed()
  },
  'PLAIN: not its form': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('garbage', 'garbage')
    await say.closed()
  },
  'PLAIN: in, and then no SASL any more, but the connection lives': async (say) => {
    await say.versions()
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.metadata()
    await say.versions()
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.metadata()
  },
  'SaslHandshake 0: tokens travel bare': async (say) => {
    await say.handshake('SCRAM-SHA-256', 0)
    await say.bareToken('first message', `n,,n=${say.stage.user},r=abcdefgh`)
    await say.bareToken('garbage', 'garbage')
  },
  'SaslHandshake 0: a failure has no answer': async (say) => {
    await say.handshake('PLAIN', 0)
    await say.bareToken('wrong password', `\0${say.stage.user}\0wrong`)
  },
  'SCRAM: nobody of this name': async (say) => {
    await say.handshake('SCRAM-SHA-256')
    await say.authenticate('first message', 'n,,n=nobody,r=abcdefgh')
    await say.closed()
  },
  'SCRAM: a wrong proof': async (say) => {
    await say.handshake('SCRAM-SHA-512')
    const first = await say.authenticate('first message', `n,,n=${say.stage.user},r=abcdefgh`)
    const nonce = /r=([^,]+)/.exec(first.toString())?.[1]
    await say.authenticate('final message', `c=biws,r=${nonce},p=${Buffer.alloc(64).toString('base64')}`)
    await say.closed()
  },
  'SCRAM: another nonce': async (say) => {
    await say.handshake('SCRAM-SHA-256')
    await say.authenticate('first message', `n,,n=${say.stage.user},r=abcdefgh`)
    await say.authenticate('final message', `c=biws,r=abcdefgh,p=${Buffer.alloc(32).toString('base64')}`)
    await say.closed()
  },
  'OAUTHBEARER: a token of somebody': async (say) => {
    await say.handshake('OAUTHBEARER')
    await say.authenticate('token', bearer(say.stage.token('carol')), 1)
    await say.metadata()
  },
  'OAUTHBEARER: a refused token is acknowledged before the verdict': async (say) => {
    await say.handshake('OAUTHBEARER')
    const challenge = await say.authenticate('token', bearer('nonsense'))
    say.lines.push(String((JSON.parse(challenge.toString()) as { status: unknown }).status))
    await say.authenticate('0x01', '\x01', 0)
    await say.closed()
  },
}

const SHORT_STORIES: Readonly<Record<string, Story>> = {
  'a session is renewed on its connection, once a second': async (say) => {
    await say.versions()
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.metadata()
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.metadata()
    await say.handshake('PLAIN')
    await say.metadata()
  },
  'renewed by version 0, which knows no lifetime': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage), 0)
    await say.metadata()
  },
  'nothing else while it is renewed': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.handshake('PLAIN')
    await say.versions()
    await say.closed()
  },
  'another mechanism': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.handshake('SCRAM-SHA-256')
    await say.authenticate('first message', `n,,n=${say.stage.user},r=abcdefgh`)
    await say.closed()
  },
  'another owner': async (say) => {
    await say.handshake('OAUTHBEARER')
    await say.authenticate('carol', bearer(say.stage.token('carol')))
    await say.handshake('OAUTHBEARER')
    await say.authenticate('dave', bearer(say.stage.token('dave')))
    await say.closed()
  },
  'a wrong password': async (say) => {
    await say.handshake('PLAIN')
    await say.authenticate('good', plain(say.stage))
    await say.handshake('PLAIN')
    await say.authenticate('wrong password', `\0${say.stage.user}\0wrong`)
    await say.closed()
  },
}

/** What Apache Kafka 4.1.1 answers, recorded by test/integration/security.test.ts with RECORD=1. */
export const RECORDED = fileURLToPath(new URL('../fixtures/sasl-stories.json', import.meta.url))

/** All conversations, one after the other, each on a connection of its own. */
export async function tellSaslStories(stage: SaslStage): Promise<Record<string, string[]>> {
  const told: Record<string, string[]> = {}
  const all = [
    ...Object.entries(STORIES).map(([name, story]) => [name, story, stage.address] as const),
    ...Object.entries(SHORT_STORIES).map(([name, story]) => [`short: ${name}`, story, stage.shortAddress] as const),
  ]
  for (const [name, story, address] of all) {
    const client = await RawClient.connect(address, stage.tls)
    const talk = new Talk(client, stage)
    try {
      await story(talk)
    } finally {
      client.close()
    }
    told[name] = talk.lines
  }
  return told
}

/** A JWT without a signature, as Kafka takes it where nothing else was configured. */
export function unsecuredToken(owner: string, lifetimeMs = 600_000, nowMs = Date.now()): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: owner, iat: Math.floor(nowMs / 1000) - 1, exp: Math.floor((nowMs + lifetimeMs) / 1000) }
  return `${part({ alg: 'none' })}.${part(claims)}.`
}
