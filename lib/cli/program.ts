/**
 * The commands and their options, as commander sees them.
 * Why options are declared per command and not once above: kcat users write them behind the mode, and `--help` of a
 * command should show all that it takes.
 * Why commands are loaded when they run: help must come at once, and the clients are 400 files.
 * Invariant: commander never ends the process; its verdicts come back as exit codes.
 */
import { Command, CommanderError, Option } from 'commander'
import type { BenchFlags } from './commands/bench.js'
import type { BrokerFlags } from './commands/broker.js'
import type { ConsumeFlags } from './commands/consume.js'
import type { GatewayFlags } from './commands/gateway.js'
import type { GroupFlags } from './commands/groups.js'
import type { MetadataFlags } from './commands/metadata.js'
import type { PingFlags } from './commands/ping.js'
import type { ProduceFlags } from './commands/produce.js'
import type { TopicFlags } from './commands/topics.js'
import type { RecoverFlags, RepairFlags, WalFlags } from './commands/wal/flags.js'
import { EXAMPLES } from './examples.js'
import { FAILED, OK, USAGE, WAL_USAGE } from './exit-codes.js'
import type { CliIo } from './io.js'
import { PROPERTY_NAMES } from './properties.js'
import type { Run } from './run.js'
import type { ClusterFlags } from './settings.js'

const append = (value: string, list: readonly string[] = []) => [...list, value]

type Action<F> = (run: Run, words: readonly string[], flags: F) => Promise<number>
type Load<F> = () => Promise<Action<F>>
/** What a command with exit codes of its own makes of an error, and of being stopped. */
interface Verdicts {
  readonly of: (error: unknown) => number
  readonly stopped: number
}
type LoadVerdicts = () => Promise<Verdicts>

const topicCommands = () => import('./commands/topics.js')
const groupCommands = () => import('./commands/groups.js')
const metadataCommands = () => import('./commands/metadata.js')
const walCommands = () => import('./commands/wal/commands.js')

/** Runs the command that the words name; the exit code. Never throws. */
export async function runProgram(words: readonly string[], io: CliIo, version: string): Promise<number> {
  const exit = { code: OK as number }
  const program = programOf(io, version, exit)
  try {
    await program.parseAsync([...words], { from: 'user' })
    return exit.code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : words[0] === 'wal' ? WAL_USAGE : USAGE
    const { report } = await import('./report.js')
    return report(error, io, {})
  }
}

function programOf(io: CliIo, version: string, exit: { code: number }): Command {
  const program = new Command('tandem-mq')
  program
    .description('Produces, consumes and looks after Kafka topics. kcat users: -P, -C, -L, -Q and -G work as there.')
    .version(version, '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // What stands behind the = of an option that nobody knows may be a password.
      outputError: (text, write) => write(text.replace(/(unknown option '[^'=]*)=[^\n]*'/, "$1'")),
    })
    .helpCommand(true)
    .addHelpText('after', EXAMPLES.program)
    .showHelpAfterError("(try 'tandem-mq --help')")
  const add = (parent: Command, name: string, description: string) => adopt(parent, name, description)
  addData(program, io, exit, add)
  addAdmin(program, io, exit, add)
  addLocal(program, io, exit, add)
  addGateway(program, io, exit, add)
  addWal(program, io, exit, add)
  return program
}

type Add = (parent: Command, name: string, description: string) => Command

/** A command with what all have in common. */
function adopt(parent: Command, name: string, description: string): Command {
  const key = name.split(' ')[0] as keyof typeof EXAMPLES
  const group = parent.name() as keyof typeof EXAMPLES
  const examples = EXAMPLES[key] ?? EXAMPLES[group] ?? ''
  return parent.command(name).description(description).addHelpText('after', examples).copyInheritedSettings(parent)
}

function clusterOptions(command: Command): Command {
  return outputOptions(connectionOptions(command))
}

function connectionOptions(command: Command): Command {
  return command
    .option('-b, --brokers <list>', 'host:port,... (TANDEM_BROKERS; default localhost:9092)')
    .option('-X, --property <name=value>', 'a setting, in the words of librdkafka or ours; -X list names them', append)
    .option('-F, --config <file>', 'settings as JSON or lines name=value (TANDEM_CONFIG)')
    .option('-m, --timeout <seconds>', 'longest wait for an answer')
}

function outputOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON object per line')
    .option('-q, --quiet', 'no notes on stderr')
    .option('-v, --verbose', 'warnings and notes of the client on stderr')
    .option('--debug', 'everything the client notes, and stacks of errors')
    .addOption(new Option('--progress', 'tell the progress on stderr; default: on a terminal'))
    .addOption(new Option('--no-progress').hideHelp())
}

function perform<F extends ClusterFlags>(
  io: CliIo,
  exit: { code: number },
  load: Load<F>,
  loadVerdicts: LoadVerdicts = usualVerdicts,
) {
  return async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command
    const flags = command.opts<F>()
    if (flags.property?.includes('list') === true) {
      await io.stdout.write(`${PROPERTY_NAMES.join('\n')}\n`)
      return
    }
    exit.code = await guarded(io, flags, command.args, load, loadVerdicts)
  }
}

async function guarded<F extends ClusterFlags>(
  io: CliIo,
  flags: F,
  words: readonly string[],
  load: Load<F>,
  loadVerdicts: LoadVerdicts,
): Promise<number> {
  const parts = Promise.all([load(), import('./run.js'), import('./report.js'), loadVerdicts()])
  const [action, { Run }, { report }, verdicts] = await parts
  let run: Run | null = null
  try {
    run = new Run(io, flags)
    const code = await action(run, words, flags)
    await run.close()
    return code
  } catch (error) {
    await run?.close().catch(() => {}) // The first error is the one to tell.
    if (!io.signal.aborted || error !== io.signal.reason) return report(error, io, flags, verdicts.of(error))
    if (error === 'EPIPE') return OK // Whoever read the output has had enough of it.
    await run?.out.note(`tandem-mq: stopped by ${String(error)} before it was done`)
    return verdicts.stopped
  }
}

async function usualVerdicts(): Promise<Verdicts> {
  const { exitCodeOf } = await import('./report.js')
  return { of: exitCodeOf, stopped: FAILED }
}

function addData(program: Command, io: CliIo, exit: { code: number }, add: Add): void {
  clusterOptions(add(program, 'produce [files...]', 'records from stdin or files to a topic (kcat -P)'))
    .option('-t, --topic <name>', 'topic')
    .option('-p, --partition <n>', 'partition; -1 or none: by key, else sticky')
    .option('-k, --key <text>', 'key of every record')
    .option('-K, --key-delimiter <text>', 'what stands between key and value')
    .option('-D, --delimiter <text>', 'what stands between records', '\\n')
    .option('-H, --header <name=value>', 'a header; without = its value is null', append)
    .option('-z, --compression <codec>', 'none, gzip, snappy, lz4 or zstd; default lz4')
    .option('-l, --lines', 'records from a file, line by line, instead of the file as one record')
    .option('-Z, --null', 'an empty value or key is null: a tombstone')
    .option('-c, --count <n>', 'end after so many records')
    .option('-T, --tee', 'write what is sent to stdout too')
    .option('--from-json', "lines as 'consume --json' writes them")
    .action(perform<ProduceFlags>(io, exit, async () => (await import('./commands/produce.js')).produce))
  clusterOptions(add(program, 'consume [topics...]', 'records of topics to stdout (kcat -C, -G)'))
    .option('-t, --topic <name>', 'topic; may be repeated', append)
    .option('-p, --partition <list>', 'partitions, such as 0 or 0,3')
    .option('-G, --group <id>', 'read as a member of this group; a topic that begins with ^ is a pattern')
    .option('-o, --offset <where>', 'beginning, end, stored, N, -N, s@time, e@time; may be repeated', append)
    .option('-c, --count <n>', 'end after so many records')
    .option('-e, --exit', 'end at the end of the topics')
    .option('-f, --format <text>', '%t topic %p partition %o offset %k key %s value %S %K lengths %T time %h headers')
    .option('-D, --delimiter <text>', 'what is written behind a record', '\\n')
    .option('-K, --key-delimiter <text>', 'writes the key and this before the value')
    .option('-Z, --null', 'write NULL where key or value is null')
    .addOption(new Option('-J', 'as --json').hideHelp())
    .addOption(new Option('-u', 'as kcat: nothing is held back here').hideHelp())
    .hook('preAction', (command) => {
      if (command.getOptionValue('J') === true) command.setOptionValue('json', true)
    })
    .action(perform<ConsumeFlags>(io, exit, async () => (await import('./commands/consume.js')).consume))
  clusterOptions(add(program, 'metadata', 'brokers, topics, leaders (kcat -L)'))
    .option('-t, --topic <name>', 'only this topic; may be repeated', append)
    .action(perform<MetadataFlags>(io, exit, async () => (await metadataCommands()).metadata))
  clusterOptions(add(program, 'offsets', 'offsets by time (kcat -Q)'))
    .option('-t, --topic <topic:partition:ms>', 'what to look for; may be repeated', append)
    .action(perform<MetadataFlags>(io, exit, async () => (await metadataCommands()).offsets))
}

function addAdmin(program: Command, io: CliIo, exit: { code: number }, add: Add): void {
  const topics = add(program, 'topics', 'list, create, delete, describe, alter topics')
  clusterOptions(add(topics, 'list', 'names of all topics'))
    .option('--internal', 'also those that begin with __')
    .action(perform<TopicFlags>(io, exit, async () => (await topicCommands()).listTopics))
  clusterOptions(add(topics, 'create <names...>', 'create topics'))
    .option('--partitions <n>', 'count, default 1')
    .option('--replication-factor <n>', 'copies of each partition, default 1')
    .option('--set <name=value>', 'a setting, such as retention.ms=3600000', append)
    .option('--if-not-exists', 'a topic that exists is no failure')
    .option('--dry-run', 'only let the cluster check it')
    .action(perform<TopicFlags>(io, exit, async () => (await topicCommands()).createTopics))
  clusterOptions(add(topics, 'delete <names...>', 'delete topics with their records'))
    .option('--if-exists', 'a topic that does not exist is no failure')
    .action(perform<TopicFlags>(io, exit, async () => (await topicCommands()).deleteTopics))
  clusterOptions(add(topics, 'describe <names...>', 'partitions, offsets and settings of topics'))
    .option('--all', 'also settings that have their default')
    .action(perform<TopicFlags>(io, exit, async () => (await topicCommands()).describeTopics))
  clusterOptions(add(topics, 'alter <names...>', 'change settings, or add partitions'))
    .option('--set <name=value>', 'a setting', append)
    .option('--unset <name>', 'back to the default', append)
    .option('--partitions <n>', 'new total')
    .option('--dry-run', 'only let the cluster check it')
    .action(perform<TopicFlags>(io, exit, async () => (await topicCommands()).alterTopics))
  const groups = add(program, 'groups', 'list, describe, delete, reset groups')
  clusterOptions(add(groups, 'list', 'all groups, of either protocol'))
    .option('--state <name>', 'only groups in this state; may be repeated', append)
    .option('--type <name>', 'only classic, consumer, share or streams groups', append)
    .action(perform<GroupFlags>(io, exit, async () => (await groupCommands()).listGroups))
  clusterOptions(add(groups, 'describe <ids...>', 'members, offsets and lag'))
    .option('--members', 'also each member and its partitions')
    .action(perform<GroupFlags>(io, exit, async () => (await groupCommands()).describeGroups))
  clusterOptions(add(groups, 'delete <ids...>', 'delete groups without members, with their offsets')).action(
    perform<GroupFlags>(io, exit, async () => (await groupCommands()).deleteGroups),
  )
  clusterOptions(add(groups, 'reset <id>', 'move the offsets of a group without members'))
    .option('-t, --topic <name>', 'topic; may be repeated', append)
    .option('-p, --partition <list>', 'partitions, default all')
    .option('--to <where>', 'earliest, latest, <offset>, s@<time>')
    .option('--dry-run', 'only tell what would be done')
    .action(perform<GroupFlags>(io, exit, async () => (await groupCommands()).resetGroup))
}

function addLocal(program: Command, io: CliIo, exit: { code: number }, add: Add): void {
  clusterOptions(add(program, 'ping', 'round trips to a broker'))
    .option('-c, --count <n>', 'so many; 0: until stopped', '1')
    .option('--interval <ms>', 'pause between them', '1000')
    .action(perform<PingFlags>(io, exit, async () => (await import('./commands/ping.js')).ping))
  add(program, 'broker', 'an in-memory broker for tests, until stopped')
    .option('--host <name>', 'address to listen on, default 127.0.0.1')
    .option('--port <n>', 'port of the first node; 0: any', '9092')
    .option('--nodes <n>', 'brokers', '1')
    .option('-t, --topic <name:partitions>', 'a topic to begin with; may be repeated', append)
    .option('--set <name=value>', 'a broker setting, such as auto.create.topics.enable=true', append)
    .option('--profile <version>', 'the Kafka version to imitate: 2.1, 2.4, 2.8, 3.9, 4.1 or 4.5')
    .option('--json', 'the addresses as JSON')
    .option('-q, --quiet', 'no notes on stderr')
    .option('--debug', 'stacks of errors')
    .action(perform<BrokerFlags>(io, exit, async () => (await import('./commands/broker.js')).broker))
  clusterOptions(add(program, 'bench', 'produce and consume rates, verified; without brokers on an embedded one'))
    .option('--records <n>', 'count', '1000000')
    .option('--size <bytes>', 'of a value', '100')
    .option('--partitions <n>', 'of the topic that is made for it', '6')
    .option('--replication-factor <n>', 'of that topic', '1')
    .option('-z, --compression <codec>', 'none, gzip, snappy, lz4 or zstd; default lz4')
    .option('--keep-topic', 'do not delete the topic')
    .action(perform<BenchFlags>(io, exit, async () => (await import('./commands/bench.js')).bench))
}

function addGateway(program: Command, io: CliIo, exit: { code: number }, add: Add): void {
  const description = 'browsers and TCP clients publish and subscribe here, until stopped'
  clusterOptions(add(program, 'gateway', description))
    .option('--listen <address>', 'for WebSockets: host:port, port 0: any; default 127.0.0.1:8080, without --tcp')
    .option('--tcp <address>', 'for TCP clients: host:port')
    .option('--path <path>', 'of the WebSocket, default /mq')
    .option(
      '--publish <rule>',
      'everybody may publish to this topic; * behind the beginning of topics; repeatable',
      append,
    )
    .option('--subscribe <rule>', 'everybody may read this topic; as above', append)
    .option('--keys <key>', 'everybody may subscribe to this key; * for all; repeatable', append)
    .option('--token-file <file>', 'who may what: lines token name publish=... subscribe=... keys=... stats')
    .option('--origin <origin>', 'pages from there may connect, such as https://chat.example, or *; repeatable', append)
    .option('--tls-cert <file>', 'certificate with its chain, PEM')
    .option('--tls-key <file>', 'its key, PEM; TANDEM_GATEWAY_KEY_PASSWORD opens it')
    .option('--key-topic <topic>', 'read by subscriptions that name only a key; repeatable', append)
    .option('--pages <folder>', 'files to serve beside the WebSocket')
    .option('--dashboard', 'serve /dashboard: figures, live')
    .option(
      '--slow-client <policy>',
      'what becomes of a client that does not keep up: pause (default), drop or disconnect',
    )
    .option('--max-clients <n>', 'at one time, default 10000')
    .action(perform<GatewayFlags>(io, exit, async () => (await import('./commands/gateway.js')).gateway))
}

function addWal(program: Command, io: CliIo, exit: { code: number }, add: Add): void {
  const wal = add(program, 'wal', 'looks after the write-ahead log of a producer: inspect, verify, recover, repair')
  const directory = (command: Command) => command.option('--dir <path>', 'directory of the log (wal.dir); needed')
  const verdicts = async () => (await walCommands()).verdicts
  outputOptions(directory(add(wal, 'inspect', 'segments, streams, what is unsettled or in doubt; read-only'))).action(
    perform<WalFlags>(io, exit, async () => (await walCommands()).inspect, verdicts),
  )
  outputOptions(directory(add(wal, 'verify', 'every checksum and every number of it; read-only'))).action(
    perform<WalFlags>(io, exit, async () => (await walCommands()).verify, verdicts),
  )
  clusterOptions(directory(add(wal, 'recover', 'what the next start does; with brokers named, delivers what is left')))
    .option('--on-ambiguous <policy>', 'what nobody can decide about: hold (default), drop or resend')
    .option('--stream <topic:partition>', 'only this one is exported or decided about; may be repeated', append)
    .option('--export <file>', 'the unsettled records as JSON lines (- is stdout); nothing is sent')
    .action(perform<RecoverFlags>(io, exit, async () => (await walCommands()).recover, verdicts))
  outputOptions(directory(add(wal, 'repair', 'shows what it would do; with --apply it does it')))
    .option('--apply', 'act, after copying what is changed')
    .option('--rebuild-manifest', 'a new MANIFEST from the headers of the segments')
    .option('--owner <kind>', 'with --rebuild-manifest: producer or queue, where the segments do not tell')
    .option('--quarantine', 'give up damaged ranges: copied aside, reported as lost')
    .option('--accept-missing <n>', 'go on without segment n, which is lost for good')
    .option('--relock [method]', 'another lock method (flock, sqlite, pipe, pidfile), after a move to another system')
    .action(perform<RepairFlags>(io, exit, async () => (await walCommands()).repair, verdicts))
}
