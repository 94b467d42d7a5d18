/**
 * The commands of `scripts/kafka`: one cluster of one or three nodes, remembered in a state file between the calls.
 * Why a state file: `up` returns while the nodes run on, and later calls must find, stop, crash and restart them.
 * Invariant: the state is written before a node is awaited, so that `down` ends whatever an interrupted `up` left.
 * Source: kafka.md 7.1.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureJars, findJava, jarFolder, kafkaFolder, kafkaVersion, PlainError } from './kafka-jars.mjs'
import {
  endNode,
  isRunning,
  logFile,
  planNodes,
  propertiesFile,
  propertiesOf,
  runTool,
  startNode,
  waitUntilServing,
} from './kafka-nodes.mjs'
import { answersApiVersions, brokersSeenBy } from './kafka-probe.mjs'
import { prepareSecurity, SECURE_PORTS, scramArguments, securityLines } from './kafka-secure.mjs'

const START_LIMIT_MS = 90_000
const STOP_LIMIT_MS = 30_000
const CRASH_LIMIT_MS = 10_000

const HELP = `scripts/kafka runs a real Apache Kafka on 127.0.0.1, fetched from Maven artifacts.

  up [1|3]     start one node (default) or three; waits until they serve
  down         stop them and remove their data
  stop <n>     stop node n cleanly (SIGTERM)
  kill <n>     crash node n (SIGKILL)
  start <n>    start node n again, on the same port and data
  env          print KAFKA_BROKERS=... and the folders, for eval or a .env file
  status       which nodes run and answer; exit 1 unless all do
  jars         fetch the jars only, print their folder
  --help       this text

Options of up:   --set name=value   one more broker property, repeatable; {id} in it is the node's number
                 --port <n>         first port (one node: n and n+1; three: n, n+10, n+20, each with the one above)
                 --secure           one node with further listeners, on the ports n+2 to n+6: TLS with client certificates
                                    asked for, demanded, and with an expired certificate of its own; SASL over TLS (PLAIN,
                                    SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with unsecured tokens), once with sessions of
                                    three seconds. env prints KAFKA_SSL_BROKERS, KAFKA_SSL_MUTUAL_BROKERS,
                                    KAFKA_SSL_EXPIRED_BROKERS, KAFKA_SASL_BROKERS, KAFKA_SASL_SHORT_BROKERS, KAFKA_CA_FILE,
                                    KAFKA_CLIENT_CERT_FILE, KAFKA_CLIENT_KEY_FILE, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD
Environment:     KAFKA_VERSION (4.1.1)  KAFKA_PORT (as --port; default: free ports)  JAVA_HOME
                 KAFKA_STATE    folder that remembers the cluster (.kafka/run); another folder is another cluster
                 KAFKA_DATA     parent of the data folder (the system's temporary folder)`

// Both give back nothing: what a command returns is its exit code, and `write` returns true.
const say = (text) => void process.stderr.write(`kafka: ${text}\n`)
const print = (text) => void process.stdout.write(`${text}\n`)

/** Runs one command; returns the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function main(args) {
  const [command, ...rest] = args
  const run = COMMANDS[command]
  if (command === undefined || command === '--help' || command === '-h' || command === 'help') {
    print(HELP)
    return command === undefined ? 2 : 0
  }
  if (run === undefined) return usage(`unknown command ${command}`)
  try {
    return (await run(rest)) ?? 0
  } catch (error) {
    say(error instanceof PlainError ? error.message : (error.stack ?? String(error)))
    return error instanceof UsageError ? 2 : 1
  }
}

class UsageError extends PlainError {}

function usage(problem) {
  say(`${problem}; see scripts/kafka --help`)
  return 2
}

const COMMANDS = {
  up,
  down,
  kill: (args) => end(args, 'SIGKILL', CRASH_LIMIT_MS),
  stop: (args) => end(args, 'SIGTERM', STOP_LIMIT_MS),
  start,
  env,
  status,
  jars: () => {
    print(ensureJars(say))
    return 0
  },
}

async function up(args) {
  const wish = parseUp(args)
  const before = readState()
  if (before?.nodes.some((node) => isRunning(before, node))) {
    throw new PlainError(
      `a cluster is already up (${brokersOf(before)}): scripts/kafka down, or set another KAFKA_STATE`,
    )
  }
  if (before) rmSync(before.dataFolder, { recursive: true, force: true })
  const java = findJava()
  const jars = ensureJars(say)
  const cluster = await prepare(java, jars, wish)
  try {
    await bringUp(java, jars, cluster)
  } catch (error) {
    await endAll(cluster, 'SIGKILL', CRASH_LIMIT_MS)
    writeState(cluster)
    throw error
  }
}

function parseUp(args) {
  const firstPort = process.env.KAFKA_PORT ? portOf(process.env.KAFKA_PORT) : undefined
  const wanted = { count: 1, firstPort, extra: {}, secure: false }
  for (let at = 0; at < args.length; at++) {
    if (args[at] === '1' || args[at] === '3') wanted.count = Number(args[at])
    else if (args[at] === '--secure') wanted.secure = true
    else if (args[at] === '--port') wanted.firstPort = portOf(args[++at])
    else if (args[at] === '--set') {
      const [, name, value] = /^([^=]+)=(.*)$/.exec(args[++at] ?? '') ?? []
      if (name === undefined) throw new UsageError('--set expects name=value')
      wanted.extra[name] = value
    } else throw new UsageError(`up takes 1 or 3, --set, --port and --secure, not ${args[at]}`)
  }
  if (wanted.secure && wanted.count !== 1) throw new UsageError('--secure is for one node: its ports and users are')
  return wanted
}

function portOf(text) {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_500) throw new UsageError(`a port is 1..65500, not ${text}`)
  return port
}

/** Plans the nodes, writes and formats their folders, and remembers the cluster. */
async function prepare(java, jars, { count, firstPort, extra, secure }) {
  const nodes = await planNodes(count, firstPort, secure ? SECURE_PORTS : undefined)
  const parent = process.env.KAFKA_DATA || tmpdir()
  mkdirSync(parent, { recursive: true })
  const cluster = { version: kafkaVersion(), dataFolder: mkdtempSync(join(parent, 'tandem-kafka-')), nodes }
  writeState(cluster)
  if (secure) cluster.security = await prepareSecurity(cluster.dataFolder)
  const { dataFolder, security } = cluster
  for (const node of nodes)
    writeFileSync(propertiesFile(cluster, node), propertiesOf(node, nodes, dataFolder, extra, security))
  writeState(cluster)
  const more = secure ? scramArguments(security) : []
  const clusterId = runTool(java, jars, ['kafka.tools.StorageTool', 'random-uuid']).trim().split('\n').pop()
  for (const node of nodes) {
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', propertiesFile(cluster, node)]
    runTool(java, jars, [...format, ...more])
  }
  return cluster
}

async function bringUp(java, jars, cluster) {
  const startedMs = Date.now()
  say(`starting ${cluster.nodes.length === 1 ? 'one node' : 'three nodes'} of Apache Kafka ${cluster.version}`)
  for (const node of cluster.nodes) startNode(java, jars, cluster, node)
  writeState(cluster)
  for (const node of cluster.nodes) await waitUntilServing(cluster, node, START_LIMIT_MS)
  await waitUntilAllSeen(cluster)
  say(
    `serving ${brokersOf(cluster)} after ${((Date.now() - startedMs) / 1000).toFixed(1)} s, logs in ${cluster.dataFolder}`,
  )
}

/** A broker answers ApiVersions before the others know it; topics with three replicas need all of them. */
async function waitUntilAllSeen(cluster) {
  const deadlineMs = Date.now() + START_LIMIT_MS
  for (const node of cluster.nodes) {
    while ((await brokersSeenBy(node.port)) !== cluster.nodes.length) {
      if (Date.now() > deadlineMs)
        throw new PlainError(`node ${node.id} does not see all ${cluster.nodes.length} brokers`)
      await sleep(100)
    }
  }
}

async function down() {
  const cluster = readState()
  if (!cluster) return say('nothing is up')
  await endAll(cluster, 'SIGTERM', STOP_LIMIT_MS)
  rmSync(cluster.dataFolder, { recursive: true, force: true })
  rmSync(stateFile(), { force: true })
  say('down')
}

/** Controllers need a majority to stop cleanly, therefore all are told at once. */
async function endAll(cluster, signal, limitMs) {
  await Promise.all(cluster.nodes.map((node) => endNode(cluster, node, signal, limitMs, say)))
  for (const node of cluster.nodes) node.pid = 0
}

async function end(args, signal, limitMs) {
  const { cluster, node } = nodeOf(args)
  if (!isRunning(cluster, node)) return say(`node ${node.id} is not running`)
  await endNode(cluster, node, signal, limitMs, say)
  say(`node ${node.id} ${signal === 'SIGKILL' ? 'killed' : 'stopped'}`)
}

async function start(args) {
  const { cluster, node } = nodeOf(args)
  if (isRunning(cluster, node)) return say(`node ${node.id} is already running`)
  startNode(findJava(), ensureJars(say), cluster, node)
  writeState(cluster)
  await waitUntilServing(cluster, node, START_LIMIT_MS)
  say(`node ${node.id} serves 127.0.0.1:${node.port}`)
}

function nodeOf(args) {
  const cluster = readState()
  if (!cluster) throw new PlainError('nothing is up: scripts/kafka up')
  const node = cluster.nodes.find((candidate) => String(candidate.id) === args[0])
  if (!node)
    throw new UsageError(
      `expected a node, one of ${cluster.nodes.map((n) => n.id).join(', ')}, not ${args[0] ?? 'nothing'}`,
    )
  return { cluster, node }
}

function env() {
  const cluster = readState()
  if (!cluster) throw new PlainError('nothing is up: scripts/kafka up')
  print(`KAFKA_BROKERS=${brokersOf(cluster)}`)
  print(`KAFKA_JARS=${jarFolder()}`)
  print(`KAFKA_DATA_FOLDER=${cluster.dataFolder}`)
  if (cluster.security) for (const line of securityLines(cluster)) print(line)
}

async function status() {
  const cluster = readState()
  if (!cluster) {
    print('nothing is up')
    return 1
  }
  let allServe = true
  for (const node of cluster.nodes) {
    const serves = isRunning(cluster, node) && (await answersApiVersions(node.port))
    allServe &&= serves
    const state = serves ? 'serves' : isRunning(cluster, node) ? 'runs, but does not answer' : 'down'
    print(`node ${node.id}  127.0.0.1:${node.port}  pid ${node.pid || '-'}  ${state}  log ${logFile(cluster, node)}`)
  }
  return allServe ? 0 : 1
}

const brokersOf = (cluster) => cluster.nodes.map((node) => `127.0.0.1:${node.port}`).join(',')
const stateFolder = () => process.env.KAFKA_STATE || join(kafkaFolder(), 'run')
const stateFile = () => join(stateFolder(), 'cluster.json')

function readState() {
  try {
    return JSON.parse(readFileSync(stateFile(), 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw new PlainError(`${stateFile()} cannot be read (${error.message}): remove it`)
  }
}

function writeState(cluster) {
  mkdirSync(stateFolder(), { recursive: true })
  writeFileSync(stateFile(), `${JSON.stringify(cluster, null, 2)}\n`)
}
