/**
 * Condition C5: what a broker acknowledged is there for good only when enough replicas have it. Asked once per topic, in
 * the background; what may not be read counts as not held.
 * Source: wal.md 1.2.
 */
import type { Cluster, TopicMetadata } from '../../cluster/index.js'
import { DescribeConfigs } from '../../protocol/index.js'
import { runInBackground } from '../../util/index.js'

const MIN_REPLICAS = 3
const MIN_IN_SYNC = 2
const TOPIC_RESOURCE = 2
const KEYS = ['min.insync.replicas', 'unclean.leader.election.enable']

export class TopicSafety {
  readonly #cluster: Pick<Cluster, 'request'>
  /** By topic; absent: not asked, or not answered. */
  readonly #isSafe = new Map<string, boolean>()

  constructor(cluster: Pick<Cluster, 'request'>) {
    this.#cluster = cluster
  }

  /** Every topic that was written to is known to hold what it acknowledged. */
  get holds(): boolean {
    for (const isSafe of this.#isSafe.values()) if (!isSafe) return false
    return true
  }

  look({ name, partitions }: TopicMetadata): void {
    const replicas = Math.min(...partitions.map((partition) => partition.replicas.length))
    this.#isSafe.set(name, false)
    if (!(replicas >= MIN_REPLICAS)) return
    runInBackground(
      `settings of ${name}`,
      async () => {
        this.#isSafe.set(name, await this.#ask(name))
      },
      () => {}, // Not permitted, too old, or away: it stays unknown, which `guarantee` says.
    )
  }

  async #ask(name: string): Promise<boolean> {
    const resource = { resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: KEYS }
    const { results } = await this.#cluster.request(DescribeConfigs, { resources: [resource] }, {})
    const values = new Map((results[0]?.configs ?? []).map((config) => [config.name, config.value]))
    const minInSync = Number(values.get('min.insync.replicas') ?? 1)
    return minInSync >= MIN_IN_SYNC && values.get('unclean.leader.election.enable') === 'false'
  }
}
