/**
 * Security of the clients against a real Kafka (CL-6): every mechanism, client certificates, sessions that end while
 * records fly; and what must not work, ended soon and with the right words.
 * A cluster of its own, because its listeners, certificates and users are part of the question.
 */
import { spawnSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AdminClient } from '../../lib/admin/index.js'
import { type ClientConfig, type MQError, Producer } from '../../lib/index.js'
import { silentLogger } from '../../lib/util/index.js'
import { Running } from '../cli/stage.js'
import { makeAuthority } from '../support/certificates.js'
import { ConsumerStage, Heard, sendAll, valuesOf } from '../support/consumer-stage.js'
import { createTopicNamed, readWithKafkajs } from '../support/interop-kafkajs.js'
import { hasKcat } from '../support/interop-kcat.js'
import { jarFolder } from '../support/real-kafka.js'
import { RECORDED, tellSaslStories, unsecuredToken } from '../support/sasl-scenario.js'
import { SecureKafka } from '../support/secure-kafka.js'

const START_LIMIT_MS = 180_000
const PARTITIONS = 2
const RECORDS = 100
/** What must fail fails long before the 120 s in which a record may be delivered. */
const SOON_MS = 5_000
/** Sessions of the listener that is asked for them last 3 s. */
const SESSIONS = 3.5
const SESSION_MS = 3_000

const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
const hasJava = spawnSync(java, ['-version']).status === 0
const whyNot = jarFolder !== null && hasJava ? null : 'secure listeners need Java 17 and the Kafka jars (mvn)'
const title = `clients on secure listeners of a real Kafka${whyNot === null ? '' : ` (skipped: ${whyNot})`}`

const SASL_MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const

type Security = Pick<ClientConfig, 'brokers' | 'ssl' | 'sasl' | 'securityProtocol' | 'connection'>

describe.skipIf(whyNot !== null)(title, () => {
  let kafka: SecureKafka
  let stage: ConsumerStage
  let topics = 0

  beforeAll(async () => {
    kafka = await SecureKafka.start()
    stage = new ConsumerStage([])
  }, START_LIMIT_MS)
  afterEach(() => stage.close())
  afterAll(() => kafka?.close(), START_LIMIT_MS)

  async function newTopic(): Promise<string> {
    const topic = `secure-${topics++}`
    await createTopicNamed([kafka.plaintext], topic, PARTITIONS)
    return topic
  }

  /** Writes, reads in a group; what the log holds is read by kafkajs over the plaintext listener. */
  async function expectRoundTrip(security: Security): Promise<void> {
    const topic = await newTopic()
    const producer = stage.producer(security)
    const values = Array.from({ length: PARTITIONS }, (_, partition) => valuesOf(`p${partition}`, RECORDS))
    await Promise.all(values.map((some, partition) => sendAll(producer, topic, partition, some)))
    const heard = stage.heard({ ...security, groupId: `group-${topic}` })
    await heard.consumer.subscribe([topic], heard.take)
    await heard.until('everything was read', () => heard.values.length >= PARTITIONS * RECORDS)
    for (const [partition, expected] of values.entries()) expect(heard.of(topic, partition)).toEqual(expected)
    expect(heard.errors).toEqual([])
    const stored = await readWithKafkajs([kafka.plaintext], topic)
    expect(stored.map(({ value }) => String(value)).sort()).toEqual(values.flat().sort())
  }

  /** The error of a client that cannot get in; it comes soon, and no secret is in it. */
  async function refusalOf(security: Security, secrets: readonly string[] = [kafka.password]): Promise<MQError> {
    const topic = await newTopic()
    const producer = stage.producer(security)
    const startedMs = Date.now()
    const error = await producer.sendSync(topic, 'never stored').then(
      () => expect.fail('a record was stored that should not have been'),
      (reason: MQError) => reason,
    )
    expect(Date.now() - startedMs).toBeLessThan(SOON_MS)
    const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error)
    for (const secret of secrets) expect(shown).not.toContain(secret)
    expect(await readWithKafkajs([kafka.plaintext], topic)).toEqual([])
    return error
  }

  const saslBrokers = () => ({ brokers: kafka.value('SASL_BROKERS'), ssl: kafka.ssl })

  describe('what works', () => {
    for (const mechanism of SASL_MECHANISMS) {
      it(`CL-6: ${mechanism} over TLS`, () => expectRoundTrip({ ...saslBrokers(), sasl: kafka.sasl(mechanism) }))
    }

    it('CL-6: OAUTHBEARER over TLS, a fresh token for each connection', async () => {
      let tokens = 0
      const token = async () => {
        tokens++
        return unsecuredToken('carol')
      }
      await expectRoundTrip({ ...saslBrokers(), sasl: { mechanism: 'OAUTHBEARER', token } })
      expect(tokens).toBeGreaterThanOrEqual(4)
    })

    it('CL-6: an authenticator of the user', async () => {
      const message = Buffer.from(`\0${kafka.user}\0${kafka.password}`)
      const next = (challenge: Uint8Array, { round }: { round: number }) =>
        round === 0 && challenge.length === 0 ? message : undefined
      const authenticator = { mechanism: 'PLAIN', next } as NonNullable<ClientConfig['sasl']>['authenticator']
      await expectRoundTrip({ ...saslBrokers(), sasl: { authenticator } as NonNullable<ClientConfig['sasl']> })
    })

    it('CL-6: TLS without a client certificate, where none is demanded', () =>
      expectRoundTrip({ brokers: kafka.value('SSL_BROKERS'), ssl: kafka.ssl, securityProtocol: 'SSL' }))

    it('CL-6: TLS with a client certificate, where one is asked for, and where one is demanded', async () => {
      await expectRoundTrip({ brokers: kafka.value('SSL_BROKERS'), ssl: kafka.mutualSsl })
      await expectRoundTrip({ brokers: kafka.value('SSL_MUTUAL_BROKERS'), ssl: kafka.mutualSsl })
    })

    it('CL-6: PEM texts instead of files, and a name instead of an address', async () => {
      const [cert, key] = ['CLIENT_CERT_FILE', 'CLIENT_KEY_FILE'].map((name) => readFileSync(kafka.value(name), 'utf8'))
      const brokers = kafka.value('SSL_MUTUAL_BROKERS').replace('127.0.0.1', 'localhost')
      await expectRoundTrip({ brokers, ssl: { ca: kafka.ca, cert, key } as ClientConfig['ssl'] })
    })

    it('CL-6: a client key that is locked by a passphrase', async () => {
      const passphrase = 'open sesame'
      const key = createPrivateKey(readFileSync(kafka.value('CLIENT_KEY_FILE'))).export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase,
      }) as string
      const brokers = kafka.value('SSL_MUTUAL_BROKERS')
      const ssl = { ...kafka.ssl, certFile: kafka.value('CLIENT_CERT_FILE'), key, passphrase }
      await expectRoundTrip({ brokers, ssl })
    })

    const adminWays: [string, () => Security][] = [
      ...SASL_MECHANISMS.map((mechanism): [string, () => Security] => [
        mechanism,
        () => ({ ...saslBrokers(), sasl: kafka.sasl(mechanism) }),
      ]),
      [
        'OAUTHBEARER',
        () => ({ ...saslBrokers(), sasl: { mechanism: 'OAUTHBEARER', token: async () => unsecuredToken('carol') } }),
      ],
      ['a client certificate', () => ({ brokers: kafka.value('SSL_MUTUAL_BROKERS'), ssl: kafka.mutualSsl })],
    ]
    it.each(adminWays)('CL-6, AD-1: the admin client, both of its ways, by %s', async (_way, security) => {
      const admin = new AdminClient({ ...security(), logLevel: 'silent' })
      try {
        const name = `secure-admin-${topics++}`
        expect(await admin.createTopic({ name, partitions: 3 })).toMatchObject({ created: true })
        expect(await admin.topicExists(name)).toBe(true)
        expect(await admin.listTopics()).toContain(name)
        expect((await admin.describeCluster()).brokers).toHaveLength(1)
      } finally {
        await admin.close()
      }
    })

    describe('the command line', () => {
      const property = (name: string, value: string) => ['-X', `${name}=${value}`]
      const secretFile = (text: string) => {
        const path = join(kafka.folder, `secret-${topics++}`)
        writeFileSync(path, `${text}\n`, { mode: 0o600 })
        return path
      }
      const run = (words: readonly string[], env: Record<string, string>, stdin = '') =>
        new Running(words, { env, stdin }).done
      const sasl = (mechanism: string) => [
        ...property('bootstrap.servers', kafka.value('SASL_BROKERS')),
        ...property('security.protocol', 'SASL_SSL'),
        ...property('sasl.mechanism', mechanism),
        ...property('ssl.ca.location', kafka.value('CA_FILE')),
      ]
      const mutual = () => [
        ...property('bootstrap.servers', kafka.value('SSL_MUTUAL_BROKERS')),
        ...property('security.protocol', 'SSL'),
        ...property('ssl.ca.location', kafka.value('CA_FILE')),
        ...property('ssl.certificate.location', kafka.value('CLIENT_CERT_FILE')),
        ...property('ssl.key.location', kafka.value('CLIENT_KEY_FILE')),
      ]
      const credentials = () => ({
        TANDEM_SASL_USERNAME: kafka.user,
        TANDEM_SASL_PASSWORD_FILE: secretFile(kafka.password),
      })
      const ways: [string, () => string[], () => Record<string, string>][] = [
        ...SASL_MECHANISMS.map((mechanism): [string, () => string[], () => Record<string, string>] => [
          mechanism,
          () => sasl(mechanism),
          credentials,
        ]),
        [
          'OAUTHBEARER',
          () => sasl('OAUTHBEARER'),
          () => ({ TANDEM_SASL_TOKEN_FILE: secretFile(unsecuredToken('carol')) }),
        ],
        ['a client certificate', mutual, () => ({})],
      ]
      it.each(ways)('CM-1, CL-6: creates, writes and reads by %s', async (_way, words, env) => {
        const topic = `secure-cli-${topics++}`
        const [common, secrets] = [words(), env()]
        const created = await run(['topics', 'create', topic, ...common], secrets)
        expect(created).toEqual({ code: 0, stdout: `${topic} created\n`, stderr: '' })
        const produced = await run(['produce', '-t', topic, ...common], secrets, 'one\ntwo\n')
        expect(produced).toEqual({ code: 0, stdout: '', stderr: '' })
        const consumed = await run(['consume', '-t', topic, '-e', ...common], secrets)
        expect([consumed.code, consumed.stdout.split('\n').sort().join(' ')]).toEqual([0, ' one two'])
      })

      it('CM-1, CL-6: a wrong password is one line, exit 1, and is not told', async () => {
        const wrong = { TANDEM_SASL_USERNAME: kafka.user, TANDEM_SASL_PASSWORD_FILE: secretFile('hunter2-wrong') }
        for (const command of [['metadata'], ['topics', 'create', 'never'], ['groups', 'list']]) {
          const ran = await run([...command, ...sasl('SCRAM-SHA-512')], wrong)
          expect([ran.code, ran.stdout]).toEqual([1, ''])
          expect(ran.stderr).toMatch(/^tandem-mq: AUTHENTICATION_FAILED: .*\n$/)
          expect(ran.stderr).not.toContain('hunter2-wrong')
        }
      })

      it.skipIf(!hasKcat)('CM-1, CL-6: beside kcat, by PLAIN and by a client certificate', async () => {
        const plain = [...property('sasl.username', kafka.user), ...property('sasl.password', kafka.password)]
        const kcat = (words: readonly string[], input = '') =>
          spawnSync('kcat', ['-q', ...words], { input, encoding: 'utf8', timeout: 30_000 })
        for (const common of [[...sasl('PLAIN'), ...plain], mutual()]) {
          const topic = await newTopic()
          expect((await run(['produce', '-t', topic, '-p', '0', ...common], {}, 'by ours\n')).code).toBe(0)
          expect(kcat(['-P', '-t', topic, '-p', '0', ...common], 'by kcat\n').status).toBe(0)
          const expected = 'by ours\nby kcat\n'
          expect(kcat(['-C', '-t', topic, '-e', ...common]).stdout).toBe(expected)
          expect((await run(['consume', '-t', topic, '-e', ...common], {})).stdout).toBe(expected)
        }
      })
    })

    it('F-1: SASL conversations go as they were recorded', async () => {
      const told = await tellSaslStories({
        address: kafka.value('SASL_BROKERS'),
        shortAddress: kafka.value('SASL_SHORT_BROKERS'),
        tls: { ca: kafka.ca },
        user: kafka.user,
        password: kafka.password,
        token: unsecuredToken,
      })
      if (process.env.RECORD === '1') writeFileSync(RECORDED, `${JSON.stringify(told, null, 2)}\n`)
      expect(told).toEqual(JSON.parse(readFileSync(RECORDED, 'utf8')))
    })
  })

  describe('sessions that end', () => {
    for (const mechanism of ['SCRAM-SHA-256', 'OAUTHBEARER'] as const) {
      it(`CL-6, W-22: ${mechanism}: over ${SESSIONS} sessions nothing is lost, doubled or refused, on the same sockets`, async () => {
        const login: ClientConfig['sasl'] =
          mechanism === 'OAUTHBEARER'
            ? { mechanism, token: async () => unsecuredToken('carol') }
            : kafka.sasl(mechanism)
        const security: Security = { brokers: kafka.value('SASL_SHORT_BROKERS'), ssl: kafka.ssl, sasl: login }
        const topic = await newTopic()
        const producer = stage.producer({ ...security, idempotence: true })
        const troubles: MQError[] = []
        producer.on('error', (error) => troubles.push(error))
        const heard = stage.heard({ ...security, groupId: `group-${topic}`, autoOffsetReset: 'earliest' })
        await heard.consumer.subscribe([topic], heard.take)
        await sendAll(producer, topic, 0, ['first'])
        await heard.until('the first record came', () => heard.values.length === 1)
        const sockets = [producer.connectionStats(), heard.consumer.connectionStats()]

        const sent = ['first']
        const untilMs = Date.now() + SESSIONS * SESSION_MS
        while (Date.now() < untilMs) {
          const some = valuesOf('record', 10, sent.length)
          await sendAll(producer, topic, 0, some)
          sent.push(...some)
        }
        await heard.until('everything was read', () => heard.values.length >= sent.length)
        expect(heard.of(topic, 0)).toEqual(sent)
        expect([...troubles, ...heard.errors]).toEqual([])
        expect([heard.lost, heard.warnings]).toEqual([[], []])
        const after = [producer.connectionStats(), heard.consumer.connectionStats()]
        for (const [index, stats] of after.entries()) {
          expect(stats.connectionsCreated, JSON.stringify([sockets, after])).toBe(sockets[index]?.connectionsCreated)
          expect(stats.connectionsClosed).toBe(sockets[index]?.connectionsClosed)
        }
        const stored = await readWithKafkajs([kafka.plaintext], topic)
        expect(stored.map(({ value }) => String(value))).toEqual(sent)
      })
    }
  })

  describe('what must not work', () => {
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
      it(`CL-6: ${mechanism} with a wrong password`, async () => {
        const error = await refusalOf({ ...saslBrokers(), sasl: kafka.sasl(mechanism, 'wrong-password') }, [
          'wrong-password',
        ])
        expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true, retryable: false })
      })
    }

    it('CL-6: a consumer with a wrong password is told so, and asks for nothing in circles', async () => {
      const heard = new Heard(
        stage.consumer({ ...saslBrokers(), sasl: kafka.sasl('PLAIN', 'wrong-password'), groupId: 'never' }),
      )
      const error = await heard.consumer.subscribe([await newTopic()], heard.take).then(
        () => heard.until('the consumer told', () => heard.errors.length > 0).then(() => heard.errors[0]),
        (reason: MQError) => reason,
      )
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
      expect(heard.consumer.connectionStats().connectionsCreated).toBe(0)
    })

    it('CL-6: a token that nobody signed, of a shape Kafka does not take', async () => {
      const sasl = { mechanism: 'OAUTHBEARER', token: async () => 'not-a-token-at-all' } as const
      const error = await refusalOf({ ...saslBrokers(), sasl }, ['not-a-token-at-all'])
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    })

    it('CL-6: a broker of another authority', async () => {
      const stranger = await makeAuthority()
      const error = await refusalOf({ ...saslBrokers(), ssl: { ca: stranger.cert }, sasl: kafka.sasl('PLAIN') })
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
    })

    it('CL-6: a broker of another name', async () => {
      const ssl = { ...kafka.ssl, servername: 'other.test' }
      const error = await refusalOf({ brokers: kafka.value('SASL_BROKERS'), ssl, sasl: kafka.sasl('PLAIN') })
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
      expect(String(error)).toContain('other.test')
    })

    it('CL-6: a broker whose certificate has expired; insecureSkipVerify takes it, with a warning', async () => {
      const brokers = kafka.value('SSL_EXPIRED_BROKERS')
      const error = await refusalOf({ brokers, ssl: kafka.ssl })
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
      const warnings: string[] = []
      const logger = { ...silentLogger, warn: (message: string) => warnings.push(message) }
      const careless = new Producer({ brokers, ssl: { ...kafka.ssl, insecureSkipVerify: true }, logger })
      try {
        await sendAll(careless, await newTopic(), 0, ['taken'])
      } finally {
        await careless.close({ timeoutMs: SOON_MS })
      }
      expect(warnings.join()).toMatch(/any certificate is accepted/)
    })

    it('CL-6: no client certificate where one is demanded', async () => {
      const error = await refusalOf({ brokers: kafka.value('SSL_MUTUAL_BROKERS'), ssl: kafka.ssl })
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    })

    it('CL-6: a client certificate of another authority', async () => {
      const { cert, key } = await (await makeAuthority()).issue({ client: true, name: 'alice' })
      const ssl = { ...kafka.ssl, cert, key }
      const error = await refusalOf({ brokers: kafka.value('SSL_MUTUAL_BROKERS'), ssl }, [key])
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    })

    it('CL-6: GSSAPI where it is not offered is told with what is', async () => {
      const authenticator = { mechanism: 'GSSAPI', next: () => Buffer.from('ticket') }
      const sasl = { mechanism: 'GSSAPI', authenticator } as unknown as NonNullable<ClientConfig['sasl']>
      const error = await refusalOf({ ...saslBrokers(), sasl })
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', fatal: true })
      expect(String(error)).toMatch(/PLAIN.*SCRAM-SHA-256|SCRAM-SHA-256.*PLAIN/)
    })
  })

  describe('another protocol than the listener speaks: bounded by dialTimeoutMs, and the words help', () => {
    const connection = { dialTimeoutMs: 1000, maxRetries: 0 }

    async function connectError(security: Security): Promise<MQError> {
      const producer = stage.producer({ ...security, connection })
      const startedMs = Date.now()
      const error = await producer.connect().then(
        () => expect.fail('it connected'),
        (reason: MQError) => reason,
      )
      expect(Date.now() - startedMs).toBeLessThan(SOON_MS)
      expect(error.family, String(error)).toMatch(/connection|auth/)
      return error
    }

    it('CL-6: plaintext on a TLS port', () => connectError({ brokers: kafka.value('SSL_BROKERS') }))
    it('CL-6: TLS on a plaintext port', () => connectError({ brokers: kafka.plaintext, ssl: kafka.ssl }))
    it('CL-6: SASL where there is none', async () => {
      const error = await connectError({
        brokers: kafka.value('SSL_BROKERS'),
        ssl: kafka.ssl,
        sasl: kafka.sasl('SCRAM-SHA-256'),
      })
      expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    })
    it('CL-6: no SASL where it is demanded', () => connectError(saslBrokers()))
  })
})
