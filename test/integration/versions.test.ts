/**
 * CL-7: which versions we and a real Kafka agree on, and that our table of what brokers offer is what this one offers.
 * Why: kafka.md 1.4 was written from the definitions inside a jar; here the broker itself says it.
 */
import { afterEach, expect, it } from 'vitest'
import { Cluster } from '../../lib/cluster/index.js'
import {
  ALL_APIS,
  ApiVersions,
  type DecodedResponseOf,
  decodeResponse,
  encodeRequest,
  Fetch,
  InitProducerId,
  Metadata,
  Produce,
} from '../../lib/protocol/index.js'
import { FrameSocket } from '../support/interop-socket.js'
import { brokers, describeWithKafka, sharedKafka } from '../support/real-kafka.js'

const RECORDED = '4.1.1'
/** Versions 4 and 5 are what brokers ask each other. */
const NOT_SERVED_TO_CLIENTS = new Set(['AddPartitionsToTxn'])
/** Only of the Kafka we start ourselves is the version known. */
const isRecorded = sharedKafka.stateFolder !== null && (process.env.KAFKA_VERSION ?? RECORDED) === RECORDED

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function askVersions(version: number): Promise<DecodedResponseOf<typeof ApiVersions>> {
  const socket = new FrameSocket(brokers[0] ?? '')
  const body = version < 3 ? {} : { clientSoftwareName: 'tandem-mq', clientSoftwareVersion: '1' }
  const answer = await socket.ask(Buffer.concat(encodeRequest(ApiVersions, version, 1, 'versions', body)))
  socket.close()
  if (answer === null) throw new Error('the broker closed the socket instead of answering ApiVersions')
  return decodeResponse(ApiVersions, version, answer).body
}

async function openCluster(): Promise<{ cluster: Cluster; brokerId: number }> {
  const [host = '', port = ''] = (brokers[0] ?? '').split(':')
  const cluster = new Cluster({ brokers: [{ host, port: Number(port) }] })
  ends.push(() => cluster.close())
  await cluster.connect()
  return { cluster, brokerId: cluster.brokers()[0]?.brokerId ?? -1 }
}

describeWithKafka('versions of a real Kafka', () => {
  it.each([0, 1, 2, 3, 4])('W-17: answers ApiVersions %s, each with the same ranges', async (version) => {
    const { errorCode, apiKeys } = await askVersions(version)
    expect(errorCode).toBe(0)
    expect(apiKeys).toEqual((await askVersions(0)).apiKeys)
  })

  it('CL-7, W-18: every api is spoken in the highest version of both sides', async () => {
    const { cluster, brokerId } = await openCluster()
    const link = cluster.link(brokerId, 'control')
    await link.whenReady(10_000)
    const theirs = new Map((await askVersions(4)).apiKeys.map((one) => [one.apiKey, one]))
    const clientApis = ALL_APIS.filter(({ client }) => client !== undefined)
    const expected = clientApis.map(({ key, name, client }) => {
      const offered = theirs.get(key)
      const max = Math.min(client?.max ?? -1, offered?.maxVersion ?? -1)
      return [name, max < Math.max(client?.min ?? 0, offered?.minVersion ?? 0) ? -1 : max]
    })
    expect(clientApis.map((api) => [api.name, link.versionOf(api)])).toEqual(expected)
    expect([Produce, Metadata, InitProducerId].map((api) => link.versionOf(api) >= 0)).toEqual([true, true, true])
  })

  it.runIf(isRecorded)(`CL-7: Kafka ${RECORDED} offers what the table says, and we use all of it`, async () => {
    const { cluster, brokerId } = await openCluster()
    const link = cluster.link(brokerId, 'control')
    await link.whenReady(10_000)
    const theirs = new Map((await askVersions(4)).apiKeys.map((one) => [one.apiKey, one]))
    const served = ALL_APIS.filter(({ broker, key, name }) => {
      return broker !== undefined && theirs.has(key) && !NOT_SERVED_TO_CLIENTS.has(name)
    })
    expect(served.map(({ name, broker }) => `${name} ..${broker?.max}`)).toEqual(
      served.map(({ name, key }) => `${name} ..${theirs.get(key)?.maxVersion}`),
    )
    const below = ALL_APIS.filter((api) => api.client !== undefined && link.versionOf(api) !== api.client.max)
    expect(below.map(({ name }) => name)).toEqual([])
    expect([link.versionOf(Produce), link.versionOf(Fetch)]).toEqual([13, 18])
    expect(cluster.finalizedFeature('transaction.version')).toBe(2)
    expect(cluster.finalizedFeature('group.version')).toBe(1)
  })

  it('W-28, CL-1: the cluster has an id, and its brokers are where they say', async () => {
    const { cluster } = await openCluster()
    expect(cluster.clusterId).toMatch(/^[\w-]{22}$/)
    expect(cluster.brokers().map(({ host, port }) => `${host}:${port}`)).toEqual(expect.arrayContaining([brokers[0]]))
    expect((await cluster.ping()).rttMs).toBeGreaterThan(0)
  })
})
