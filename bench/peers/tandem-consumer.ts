/**
 * tandem-mq with its default settings, one callback per record: as a member of a group, or by assignment.
 * Which build is measured is said by TANDEM_ENTRY (the harness builds `dist`), since a loader's transformations cost time.
 */
import type { RecordView, TopicPartition } from 'tandem-mq'
import type { ConsumerPeerFactory, Tally, Use } from '../harness/consume-peer.js'

type Tandem = typeof import('tandem-mq')
type OnRecord = (record: RecordView, tp: TopicPartition) => void

export const createConsumerPeer: ConsumerPeerFactory = async ({ brokers, way, isMeasured }) => {
  const { Consumer } = (await import(process.env.TANDEM_ENTRY ?? 'tandem-mq')) as Tandem
  const open: InstanceType<Tandem['Consumer']>[] = []
  return {
    version: 'this repository',
    settings: { readMode: 'safe', checkCrcs: true, way, metrics: isMeasured },
    async read(topic, group, tally, use) {
      const common = {
        brokers: [...brokers],
        clientId: 'bench-tandem',
        autoOffsetReset: 'earliest',
        metrics: { enabled: isMeasured },
      } as const
      const consumer = new Consumer(way === 'group' ? { ...common, groupId: group } : common)
      open.push(consumer)
      if (way === 'group') consumer.on('assigned', () => tally.begin())
      else tally.begin() // Connecting and looking up positions are included then.
      const ended = consumer.run() // Rejects when reading failed.
      if (way === 'group') await subscribe(consumer, topic, callbackFor(tally, use))
      else await consumer.assign([topic], callbackFor(tally, use))
      await ended
    },
    async close() {
      for (const consumer of open) await consumer.close()
    },
  }
}

function callbackFor(tally: Tally, use: Use): OnRecord {
  if (use === 'content') return ({ offset, value }, { partition }) => tally.addContent(partition, offset, value)
  if (use === 'untouched') return (record, { partition }) => tally.add(partition, record.offset, 0)
  return (record, { partition }) => tally.add(partition, record.offset, record.value?.length ?? 0)
}

/** Groups are newer than some builds one may want to compare with. */
async function subscribe(consumer: object, topic: string, callback: OnRecord): Promise<void> {
  const { subscribe } = consumer as { subscribe?: (topics: string[], callback: OnRecord) => Promise<void> }
  if (subscribe === undefined) throw new Error('this build knows no groups: --way assign')
  await subscribe.call(consumer, [topic], callback)
}
