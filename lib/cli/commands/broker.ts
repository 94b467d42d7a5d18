/**
 * `broker`: the in-process broker as a program, for work without a Kafka. It forgets everything when it ends.
 * Invariant: its addresses are the first line of stdout, printed when it accepts connections.
 */
import { createBroker, type ProfileName } from '../../broker/index.js'
import { OK } from '../exit-codes.js'
import { whenStopped } from '../io.js'
import type { Run } from '../run.js'
import type { ClusterFlags } from '../settings.js'
import { integer, pair, UsageError } from '../usage.js'

export interface BrokerFlags extends ClusterFlags {
  readonly host?: string
  readonly port: string
  readonly nodes: string
  readonly topic?: readonly string[]
  readonly set?: readonly string[]
  readonly profile?: string
}

const PROFILES: readonly ProfileName[] = ['2.1', '2.4', '2.8', '3.9', '4.1', '4.5']
const MAX_NODES = 100
const MAX_PARTITIONS = 10_000

export async function broker(run: Run, _words: readonly string[], flags: BrokerFlags): Promise<number> {
  const port = integer('--port', flags.port, 0, 65_535)
  const nodes = integer('--nodes', flags.nodes, 1, MAX_NODES)
  const topics = (flags.topic ?? []).map(topicOf)
  const config = Object.fromEntries((flags.set ?? []).map((word) => pair('--set', word)))
  const profile = profileOf(flags.profile)
  const started = await createBroker({
    port,
    nodes,
    config,
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(profile === undefined ? {} : { profile }),
  })
  run.keep(started)
  for (const { name, partitions } of topics) started.createTopic(name, { partitions })
  const told = { bootstrap: started.bootstrap, topics: topics.map(({ name }) => name) }
  await run.out.either(told, [started.bootstrap])
  await run.out.summary(`a broker for tests, in memory: it forgets everything when it ends (Ctrl-C)`)
  await whenStopped(run.io.signal)
  return OK
}

/** `name` or `name:partitions`. */
function topicOf(word: string): { name: string; partitions: number } {
  const [name = '', count, ...rest] = word.split(':')
  if (rest.length > 0) throw new UsageError(`-t: expected name or name:partitions, got '${word}'`)
  return { name, partitions: count === undefined ? 1 : integer('the partitions of -t', count, 1, MAX_PARTITIONS) }
}

function profileOf(word: string | undefined): ProfileName | undefined {
  if (word === undefined) return undefined
  const known = PROFILES.find((name) => name === word)
  if (known === undefined) throw new UsageError(`--profile: expected one of ${PROFILES.join(', ')}, got '${word}'`)
  return known
}
