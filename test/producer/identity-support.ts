/**
 * Scenes for the identity of a producer: a lane with acknowledged records, batches in doubt, codes that refuse, and a
 * stranger who writes under our numbers.
 */
import { type Broker, type BrokerOptions, fault } from '../../lib/broker/index.js'
import type { ProducerConfig } from '../../lib/config/index.js'
import type { MQError } from '../../lib/errors/index.js'
import type { DataLoss, Producer } from '../../lib/producer/index.js'
import { Produce } from '../../lib/protocol/index.js'
import { makeBatch } from '../broker/batches.js'
import { RawClient } from '../broker/raw-client.js'
import type { DrivenClock } from '../support/driven-clock.js'
import { logOf, stage } from './support.js'

export const PARTITION = { topic: 'orders', partition: 0 }
export const OUT_OF_ORDER = 45

export interface Scene {
  readonly clock: DrivenClock
  readonly broker: Broker
  readonly producer: Producer
  readonly losses: DataLoss[]
  readonly warnings: MQError[]
}

/** A lane with `warm` acknowledged records, sequences 0.., one batch each. */
export async function scene(warm = 3, config: ProducerConfig = {}, options: BrokerOptions = {}): Promise<Scene> {
  const replicationFactor = options.nodes ?? 1
  const { clock, broker, producer } = await stage(config, { replicationFactor }, options)
  const losses: DataLoss[] = []
  const warnings: MQError[] = []
  producer.on('dataLoss', (loss) => losses.push(loss))
  producer.on('warning', (error) => warnings.push(error))
  for (let record = 0; record < warm; record++) await producer.sendSync('orders', `warm${record}`)
  return { clock, broker, producer, losses, warnings }
}

/** The next batch's answer is lost; what happens before the retry is `meanwhile`; the retry meets `code`. */
export async function inDoubt(
  { broker, producer }: Scene,
  when: 'before' | 'after',
  meanwhile: () => void | Promise<void> = () => {},
  codes: readonly number[] = [OUT_OF_ORDER],
) {
  const attempts = broker.count({ api: 'Produce' })
  const lost = broker.on({ api: 'Produce', nth: 1 }, fault.drop(when))
  for (const [index, code] of codes.entries()) broker.on({ api: 'Produce', nth: 2 + index }, fault.error(code))
  const sent = producer.sendSync('orders', 'doubted')
  sent.catch(() => {})
  await broker.hit(lost)
  await meanwhile()
  return { sent, attempts: () => broker.count({ api: 'Produce' }) - attempts }
}

/** The next batch is refused with `code`, once or several times; nothing of it is in doubt. */
export function refuse({ broker }: Scene, codes: readonly number[] = [OUT_OF_ORDER]): void {
  for (const [index, code] of codes.entries()) broker.on({ api: 'Produce', nth: 1 + index }, fault.error(code))
}

export const values = async (broker: Broker) => (await logOf(broker, 'orders')).map((record) => record.value)
export const epochs = (broker: Broker, partition = 0) =>
  broker.log('orders', partition).batches.map((batch) => batch.producerEpoch)
export const ids = (broker: Broker) => broker.log('orders', 0).batches.map((batch) => batch.producerId)
export const idOf = (broker: Broker) => ids(broker)[0] as bigint

/** Writes a batch as another process would that got hold of a producer id. */
export async function writeAs(
  broker: Broker,
  producerId: bigint,
  producerEpoch: number,
  baseSequence: number,
  count = 1,
) {
  const client = await RawClient.connect(broker.bootstrap)
  const foreign = Array.from({ length: count }, (_, index) => `foreign${index}`)
  const records = makeBatch({ values: foreign, producerId, producerEpoch, baseSequence })
  const answer = await client.request(Produce, 9, {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: 'orders', partitionData: [{ index: 0, records }] }],
  })
  client.close()
  return answer.responses[0]?.partitionResponses[0]?.errorCode
}
