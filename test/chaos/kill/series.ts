/**
 * Directory after directory until enough producers were killed; sums what they report.
 * Invariant: the seed of the series decides the plan of each directory alone, so one of them can be run again by itself.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomInt, seededRandom } from '../../../lib/util/index.js'
import { Children } from '../support/children.js'
import type { ChaosCluster } from '../support/cluster.js'
import { compileChild } from '../support/compiled.js'
import { faultsOf, sumOf, type Tally } from '../support/ledger.js'
import { type DirectoryPlan, type DirectoryReport, runDirectory } from './directory.js'
import type { Durability, KillOptions } from './options.js'

const MOST_KILLS = 12
const PARTITIONS = 3

export interface SeriesReport {
  readonly directories: number
  readonly kills: number
  readonly closes: number
  readonly killsInRecovery: number
  readonly tally: Tally
  readonly troubles: ReadonlyMap<string, number>
  readonly edges: ReadonlyMap<string, number>
  readonly refusals: ReadonlyMap<string, number>
  /** Directories with a fault, or that came to no end. */
  readonly failed: readonly DirectoryReport[]
  readonly seconds: number
}

export async function runSeries(
  options: KillOptions,
  cluster: ChaosCluster,
  say: (line: string) => void,
): Promise<SeriesReport> {
  const compiled = compileChild()
  const root = options.dir ?? mkdtempSync(join(tmpdir(), 'tandem-kill-'))
  const children = new Children(compiled.path)
  const startedMs = performance.now()
  const reports: DirectoryReport[] = []
  try {
    for (const plan of plansOf(options, root)) {
      if (options.limitMs > 0 && performance.now() - startedMs > options.limitMs) break
      if (options.only !== 0 && options.only !== plan.number) continue
      mkdirSync(plan.dir, { recursive: true, mode: 0o700 })
      const report = await runDirectory(plan, cluster, children, seededRandom(plan.seed))
      reports.push(report)
      const isSound = !hasFailed(report)
      if (options.isVerbose || !isSound) say(lineOf(report))
      if (isSound) rmSync(plan.dir, { recursive: true, force: true })
    }
  } finally {
    await children.close()
    compiled.remove()
    if (options.dir === null && !reports.some(hasFailed)) rmSync(root, { recursive: true, force: true })
  }
  return summed(reports, (performance.now() - startedMs) / 1_000)
}

function* plansOf({ cycles, durabilities, seed, broker, only }: KillOptions, root: string): Generator<DirectoryPlan> {
  const random = seededRandom(seed)
  for (let number = 1, left = cycles; left > 0; number++) {
    const kills = Math.min(left, 1 + randomInt(random, MOST_KILLS))
    const own = randomInt(random, 2 ** 31)
    const durability = durabilities[(number - 1) % durabilities.length] as Durability
    left -= kills
    const words = `--broker ${broker} --durability ${durabilities.join(',')} --cycles ${cycles} --seed ${seed}`
    const replay = `npx tsx test/chaos/kill/main.ts ${words} --only ${number}`
    yield { number, seed: own, dir: join(root, `log-${number}`), durability, kills, partitions: PARTITIONS, replay }
    if (only === number) return
  }
}

const hasFailed = ({ tally, stuck }: DirectoryReport): boolean => stuck !== null || faultsOf(tally) > 0

function lineOf(report: DirectoryReport): string {
  const { plan, tally, kills, killsInRecovery, stuck, stories, ms } = report
  const verdict = hasFailed(report) ? `FAILED, log kept in ${plan.dir}` : 'sound'
  const { sent, accepted, found, lost, duplicated, reordered } = tally
  const head = `directory ${plan.number} (${plan.durability}): ${kills} kills, ${killsInRecovery} in recovery, ${sent} sent, ${accepted} accepted, ${found} found, lost ${lost}, duplicated ${duplicated}, reordered ${reordered}, ${Math.round(ms)} ms: ${verdict}`
  const more = hasFailed(report) ? [stuck ?? '', ...stories, `  replay: ${plan.replay}`] : []
  return [head, ...more].filter(Boolean).join('\n')
}

function summed(reports: readonly DirectoryReport[], seconds: number): SeriesReport {
  const count = (of: (report: DirectoryReport) => number) => reports.reduce((sum, report) => sum + of(report), 0)
  return {
    directories: reports.length,
    kills: count(({ kills }) => kills),
    closes: count(({ closes }) => closes),
    killsInRecovery: count(({ killsInRecovery }) => killsInRecovery),
    tally: sumOf(reports.map(({ tally }) => tally)),
    troubles: merged(reports.map(({ troubles }) => troubles)),
    edges: merged(reports.map(({ edges }) => edges)),
    refusals: merged(reports.map(({ refusals }) => refusals)),
    failed: reports.filter(hasFailed),
    seconds,
  }
}

function merged(maps: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const map of maps) for (const [name, count] of map) sum.set(name, count + (sum.get(name) ?? 0))
  return sum
}
