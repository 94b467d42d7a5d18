/**
 * `wal repair --quarantine`: an opening with `onCorruption: 'quarantine'`, planned and by hand. The opening itself copies
 * each damaged range aside, records it as a HOLE and reports its positions as lost.
 */
import { resolveConfig } from '../../../index.js'
import type { Finding, RepairPlan, Survey } from '../../../wal/index.js'
import { plural } from '../../output.js'
import type { Run } from '../../run.js'
import { WalExit } from './exit-codes.js'
import { exitOf, lineOf } from './findings.js'
import { look, partsOf } from './look.js'
import { openLog, optionsFor } from './opening.js'

export async function planQuarantine(run: Run, dir: string): Promise<RepairPlan> {
  const { survey, findings } = await look(run, dir, 'look')
  const damage = findings.filter((finding) => exitOf([finding]) === WalExit.corrupt)
  const isLoss = damage.some(({ kind }) => kind === 'corrupt')
  if (!isLoss) {
    const why =
      damage.length === 0 ? 'nothing is damaged' : 'what is damaged cost no record: the next opening repairs it'
    return { steps: [], warnings: [why], copies: [], apply: async () => ({ copies: [] }) }
  }
  return {
    steps: [...damage.map((finding) => `give up ${lineOf(finding)}`), 'open the log, record these as lost, close it'],
    warnings: [lossOf(survey, damage)],
    copies: damage.map(({ file, fromByte, toByte }) => `${file} bytes ${fromByte}..${toByte - 1}`),
    apply: async () => ({ copies: await giveUpDamage(run, dir) }),
  }
}

function lossOf({ tables }: Survey, damage: readonly Finding[]): string {
  const ranges = damage.flatMap((finding) => finding.ranges)
  const records = ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const named = ranges.map(({ stream, from, to }) => {
    const facts = tables.streams.get(stream)
    return `${facts === undefined || facts.topic === '' ? `stream ${stream}` : `${facts.topic}:${facts.partition}`} positions ${from}..${to}`
  })
  if (records === 0) return 'no later frame tells which records are lost with it'
  return `${plural(records, 'record')} would be lost at most: ${named.join('; ')}`
}

/** Gives the paths of what is in `quarantine/` since. */
export async function giveUpDamage(run: Run, dir: string): Promise<string[]> {
  const before = new Set(await quarantined(run, dir))
  const { survey } = await look(run, dir, 'look')
  const { wal: settings } = resolveConfig({}).producer
  const wal = await openLog(run, optionsFor(settings, dir, survey, 'quarantine'), 'repair')
  await wal.close()
  return (await quarantined(run, dir)).filter((path) => !before.has(path))
}

function quarantined(run: Run, dir: string): Promise<string[]> {
  const target = `${dir}/quarantine`
  return new Promise((resolve, reject) => {
    partsOf(run).fs.readdir(target, (error, names) => {
      if (error?.code === 'ENOENT') resolve([])
      else if (error !== null) reject(error)
      else resolve((names ?? []).sort().map((name) => `${target}/${name}`))
    })
  })
}
