/**
 * Configures, formats, starts and ends the nodes of one cluster.
 * Invariant: only a process that we started is ever signalled. A pid may have been given to somebody else after a reboot or a
 * crash, therefore its command line must name the properties file of our node before a signal leaves.
 * Source: kafka.md 7.1 (properties verified with 4.1.1).
 */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PlainError } from './kafka-jars.mjs'
import { answersApiVersions } from './kafka-probe.mjs'
import { secureListeners, secureProperties } from './kafka-secure.mjs'

/** Outside of the ephemeral range, so that a node finds its port free again after a restart. */
const FIRST_FREE_PORT = 20_000
const FREE_PORTS = 10_000
const NODE_STRIDE = 10
/** Of a node without secure listeners: clients, controllers. */
const PORTS = 2

const MEMORY = ['-Xms512m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:MaxDirectMemorySize=128m']

const EVERY_NODE = {
  'auto.create.topics.enable': 'false',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.num.partitions': '4',
  'group.initial.rebalance.delay.ms': '0',
  'num.network.threads': '1',
  'num.io.threads': '2',
  'num.replica.fetchers': '1',
  'num.recovery.threads.per.data.dir': '1',
  'background.threads': '2',
  'queued.max.requests': '64',
  'log.cleaner.dedupe.buffer.size': '2097152',
  'producer.id.expiration.ms': '86400000',
  'producer.id.expiration.check.interval.ms': '600000',
}

const replicated = (factor, minIsr) => ({
  'offsets.topic.replication.factor': factor,
  'transaction.state.log.replication.factor': factor,
  'transaction.state.log.min.isr': minIsr,
  'share.coordinator.state.topic.replication.factor': factor,
  'share.coordinator.state.topic.min.isr': minIsr,
})

const THREE_NODES = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'unclean.leader.election.enable': 'false',
  'broker.heartbeat.interval.ms': '500',
  'broker.session.timeout.ms': '3000',
  'controller.quorum.election.timeout.ms': '500',
  'controller.quorum.fetch.timeout.ms': '1000',
  'replica.lag.time.max.ms': '4000',
}

/**
 * Addresses of `count` nodes: from `firstPort` on (10 apart, the controller one above), else wherever there is room.
 * Each takes `ports` ports in a row.
 */
export async function planNodes(count, firstPort, ports = PORTS) {
  const nodes = []
  for (let index = 0; index < count; index++) {
    const port = firstPort === undefined ? await freePorts(nodes, ports) : firstPort + index * NODE_STRIDE
    nodes.push({ id: index + 1, port, controllerPort: port + 1, pid: 0 })
  }
  for (const { port } of nodes) {
    if (await areFree(port, ports)) continue
    throw new PlainError(
      `one of the ports ${port}..${port + ports - 1} is in use: choose another KAFKA_PORT, or leave it out`,
    )
  }
  return nodes
}

async function freePorts(taken, ports) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST_FREE_PORT + 2 * Math.floor((Math.random() * FREE_PORTS) / 2)
    if (taken.every((node) => Math.abs(node.port - port) >= ports) && (await areFree(port, ports))) return port
  }
  throw new PlainError('found no free port between 20000 and 29999')
}

async function areFree(first, ports) {
  for (let port = first; port < first + ports; port++) if (!(await isFree(port))) return false
  return true
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** The properties file of one node, `extra` last so that a caller may override everything; `{id}` there is its number. */
export function propertiesOf(node, nodes, dataFolder, extra, security) {
  const address = `127.0.0.1:${node.port}`
  const controller = `127.0.0.1:${node.controllerPort}`
  const many = nodes.length > 1
  const more = security === undefined ? [] : secureListeners(node)
  const moreAddresses = more.map(({ name, port }) => `,${name}://127.0.0.1:${port}`).join('')
  const lines = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map((n) => `${n.id}@127.0.0.1:${n.controllerPort}`).join(','),
    listeners: `PLAINTEXT://${address},CONTROLLER://${controller}${moreAddresses}`,
    'advertised.listeners': `PLAINTEXT://${address}${moreAddresses}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'listener.security.protocol.map': [
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
      ...more.map(({ name, protocol }) => `${name}:${protocol}`),
    ].join(','),
    'log.dirs': join(dataFolder, `n${node.id}`),
    ...EVERY_NODE,
    ...(many ? { ...replicated(3, 2), ...THREE_NODES } : replicated(1, 1)),
    ...(security === undefined ? {} : secureProperties(security)),
    ...Object.fromEntries(Object.entries(extra).map(([name, value]) => [name, value.replaceAll('{id}', node.id)])),
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

export const propertiesFile = (cluster, node) => join(cluster.dataFolder, `node${node.id}.properties`)
export const logFile = (cluster, node) => join(cluster.dataFolder, `node${node.id}.log`)

/** One Java tool to its end; its output. */
export function runTool(java, jars, args) {
  const answer = spawnSync(java, ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), ...args], {
    encoding: 'utf8',
  })
  if (answer.status === 0) return answer.stdout
  throw new PlainError(
    `${args[0]} failed:\n${(answer.stderr || answer.stdout).trim().split('\n').slice(0, 10).join('\n')}`,
  )
}

/** Starts the node in the background; it outlives this process. */
export function startNode(java, jars, cluster, node) {
  const log = openSync(logFile(cluster, node), 'a')
  const child = spawn(java, [...MEMORY, '-cp', join(jars, '*'), 'kafka.Kafka', propertiesFile(cluster, node)], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  child.on('error', () => {}) // reported by waitUntilServing, which sees no process
  child.unref()
  node.pid = child.pid ?? 0
  writeFileSync(join(cluster.dataFolder, `node${node.id}.pid`), `${node.pid}\n`)
}

/** Waits until the node answers ApiVersions; throws with the end of its log when it dies or is too late. */
export async function waitUntilServing(cluster, node, limitMs) {
  const deadlineMs = Date.now() + limitMs
  while (!(await answersApiVersions(node.port))) {
    if (!isRunning(cluster, node))
      throw new PlainError(`node ${node.id} ended while it started:\n${logTail(cluster, node)}`)
    if (Date.now() > deadlineMs) {
      throw new PlainError(`node ${node.id} did not answer within ${limitMs / 1000} s:\n${logTail(cluster, node)}`)
    }
    await sleep(100)
  }
}

function logTail(cluster, node) {
  try {
    return readFileSync(logFile(cluster, node), 'utf8').trim().split('\n').slice(-15).join('\n')
  } catch {
    return '(no log)'
  }
}

/** True while the process we started for this node is alive. */
export function isRunning(cluster, node) {
  if (!(node.pid > 0)) return false
  return commandLine(node.pid).includes(propertiesFile(cluster, node))
}

function commandLine(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') // empty for a process that ended and was not yet collected
  } catch {
    if (process.platform === 'linux') return ''
    return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? ''
  }
}

/** Ends the node with `signal` and waits until it is gone. A clean stop that takes too long becomes a crash, and is said. */
export async function endNode(cluster, node, signal, limitMs, say) {
  if (!isRunning(cluster, node)) return
  process.kill(node.pid, signal)
  const deadlineMs = Date.now() + limitMs
  while (isRunning(cluster, node)) {
    if (Date.now() > deadlineMs) {
      say(`node ${node.id} did not stop within ${limitMs / 1000} s: killing it`)
      process.kill(node.pid, 'SIGKILL')
      await sleep(200)
      return
    }
    await sleep(50)
  }
}
