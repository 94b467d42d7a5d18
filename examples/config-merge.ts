/** How a configuration comes about: defaults, a preset, your fields, other names of fields, and what is refused. */
import { MQ, MQError, resolveConfig } from 'tandem-mq'
import { check } from './example.js'

const plain = resolveConfig({})
check(plain.producer.lingerMs === 5 && plain.producer.batchBytes === 16_384, 'defaults')

const fast = resolveConfig({ preset: 'highThroughput', producer: { lingerMs: 20 } })
check(fast.producer.batchBytes === 65_536 && fast.producer.lingerMs === 20, 'a preset, and a field of yours over it')

const kafkaNames = resolveConfig({ bootstrapServers: 'a:9092,b', producer: { linger: 1, batchSize: 1000 } })
check(kafkaNames.producer.lingerMs === 1 && kafkaNames.brokers[1]?.port === 9092, 'names you may know from elsewhere')

const secret = resolveConfig({ ssl: { enabled: true }, sasl: { mechanism: 'PLAIN', username: 'me', password: 'hush' } })
check(!JSON.stringify(secret).includes('hush'), 'a secret is not printed')

try {
  new MQ({ producer: { lingerMs: -1, batchByts: 1 } as object, consumer: { heartbeatIntervalMs: 20_000 } })
  check(false, 'a wrong configuration is refused')
} catch (error) {
  const { issues } = (error as MQError).context as { issues?: { path: string; expected: string }[] }
  for (const { path, expected } of issues ?? []) console.log(`  ${path}: expected ${expected}`)
  check(error instanceof MQError && issues?.length === 3, 'every finding at once')
}
