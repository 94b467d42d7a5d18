/** CL-6: kafkajs speaks for the admin client too; what a server says back through it must not be told either. */
import { describe, expect, it } from 'vitest'
import { AdminClient } from '../../lib/index.js'
import { type Reply, scramBroker, speakSasl } from '../cluster/sasl/support.js'
import { atEnd, expectNoSecrets, formsOf, hostileBroker, PASSWORD, TOKEN, USER } from './stage.js'

const credentials = { username: USER, password: PASSWORD }
const mechanisms = {
  plain: { mechanism: 'PLAIN', ...credentials },
  scram: { mechanism: 'SCRAM-SHA-256', ...credentials },
  bearer: { mechanism: 'OAUTHBEARER', token: async () => TOKEN },
} as const
const echoes: [string, (said: string) => Reply][] = [
  ['in the text of error 58', (said) => ({ errorCode: 58, errorMessage: `no entry with ${said}` })],
  ['in the text of an unknown error', (said) => ({ errorCode: 999, errorMessage: said })],
  ['in a challenge', (said) => ({ bytes: `{"status":"invalid_token","why":"${said}"}` })],
  ['as what SCRAM takes for an error', (said) => ({ bytes: `e=${said}` })],
]

describe('a server that says our secrets back to kafkajs', () => {
  for (const [name, sasl] of Object.entries(mechanisms)) {
    for (const [what, reply] of echoes) {
      it(`CL-6: ${name}, ${what}`, async () => {
        const secret = name === 'bearer' ? TOKEN : PASSWORD
        // A server of SCRAM never saw the message of PLAIN: that last form it could not say.
        const forms = formsOf(secret)
        for (const said of name === 'scram' ? forms.slice(0, -1) : forms) {
          const hostile = await hostileBroker()
          speakSasl(hostile.broker, () => ({ answer: () => reply(said) }))
          const told: unknown[] = []
          const log = (message: string, context?: object) => void told.push(message, context)
          const admin = new AdminClient({
            brokers: hostile.address,
            sasl,
            connection: { maxRetries: 0, dialTimeoutMs: 400 },
            logger: { debug: log, info: log, warn: log, error: log },
          })
          atEnd(() => admin.close())
          await admin.describeCluster({ timeoutMs: 3_000 }).catch((error: unknown) => {
            told.push(error, JSON.stringify(error), String(error), (error as Error).stack)
          })
          await admin.close()
          told.push(admin)
          expectNoSecrets(told, secret)
        }
      })
    }
  }
})

describe('a server that wants to keep kafkajs busy', () => {
  const adminOf = (address: string, sasl: (typeof mechanisms)['scram' | 'bearer']) => {
    const connection = { maxRetries: 0, dialTimeoutMs: 1_000 }
    const admin = new AdminClient({ brokers: address, sasl, connection, logLevel: 'silent' })
    atEnd(() => admin.close())
    return admin
  }

  it('CL-6: as many iterations as it likes are refused, not counted', async () => {
    const hostile = await hostileBroker()
    speakSasl(hostile.broker, () =>
      scramBroker('sha256', PASSWORD, { first: (t) => t.replace(/i=.*/, 'i=2000000000') }),
    )
    const error = await adminOf(hostile.address, mechanisms.scram)
      .describeCluster()
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect(String(error)).toContain('iterations')
  })

  it('CL-6: a server that does not know the password is refused', async () => {
    const hostile = await hostileBroker()
    speakSasl(hostile.broker, () => scramBroker('sha256', PASSWORD, { final: () => `v=${'A'.repeat(43)}=` }))
    const error = await adminOf(hostile.address, mechanisms.scram)
      .describeCluster()
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    expect(String(error)).toContain('signature')
  })

  it('CL-6: a token function that fails may succeed later, and what hangs on its error stays behind', async () => {
    const hostile = await hostileBroker()
    speakSasl(hostile.broker, () => ({ answer: () => ({}) }))
    const token = async () => {
      throw Object.assign(new Error('the issuer is away'), { request: { password: PASSWORD } })
    }
    const admin = adminOf(hostile.address, { mechanism: 'OAUTHBEARER', token })
    const error = await admin.describeCluster().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', retryable: true, fatal: false })
    expect(String(error)).toContain('the issuer is away')
    expectNoSecrets(error, PASSWORD)
  })
})
