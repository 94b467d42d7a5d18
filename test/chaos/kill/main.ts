/**
 * The kill test as a program: `npx tsx test/chaos/kill/main.ts --help`.
 * Why a program beside the tests: hundreds of kills per change and thousands before a release are a matter of minutes and
 * hours, and a failing seed must run again by one line.
 */
import type { ChaosCluster } from '../support/cluster.js'
import { InProcessCluster } from '../support/in-process-cluster.js'
import { KafkaCluster } from '../support/kafka-cluster.js'
import { faultsOf } from '../support/ledger.js'
import { HELP, type KillOptions, parseKillOptions } from './options.js'
import { runSeries, type SeriesReport } from './series.js'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOrExit(args)
  if (typeof options === 'number') return options
  const cluster: ChaosCluster = options.broker === 'kafka' ? await KafkaCluster.start() : await InProcessCluster.start()
  print(`kill test, seed ${options.seed}: ${options.cycles} kills, ${options.durabilities.join(', ')}, ${cluster.name}`)
  try {
    const report = await runSeries(options, cluster, print)
    for (const line of linesOf(report)) print(line)
    return report.failed.length === 0 && report.kills > 0 ? 0 : 1
  } finally {
    await cluster.close()
  }
}

function optionsOrExit(args: readonly string[]): KillOptions | number {
  try {
    const options = parseKillOptions(args)
    if (options !== null) return options
    print(HELP)
    return 0
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 2
  }
}

function linesOf(report: SeriesReport): string[] {
  const { directories, kills, closes, killsInRecovery, tally, troubles, edges, refusals, failed, seconds } = report
  return [
    `${kills} kills over ${directories} directories, ${killsInRecovery} of them in recovery, ${closes} closed before; ${seconds.toFixed(1)} s`,
    `records: ${tally.sent} sent, ${tally.accepted} accepted, ${tally.found} in the topics, ${tally.unheard} of those never told as accepted`,
    `brokers: ${named(troubles)}`,
    `edges, by records: ${named(edges)}; refused sends: ${named(refusals)}`,
    `lost ${tally.lost}, duplicated ${tally.duplicated}, reordered ${tally.reordered}, altered ${tally.altered}, foreign ${tally.foreign}, forbidden ${tally.forbidden}, stuck ${failed.filter(({ stuck }) => stuck !== null).length}`,
    faultsOf(tally) === 0 && failed.length === 0 ? 'sound' : `FAILED in ${failed.length} directories`,
  ]
}

function named(counts: ReadonlyMap<string, number>): string {
  return counts.size === 0 ? 'none' : [...counts].map(([name, count]) => `${name} ${count}`).join(', ')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
