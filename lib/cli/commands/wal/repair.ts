/**
 * `wal repair`: what a person must decide. Without `--apply` it tells what it would do and changes nothing.
 * Why one repair at a time: each makes the next one's plan another one; what is left is told at the end.
 * Source: wal.md 5.
 */
import { MQError } from '../../../index.js'
import {
  type LockMethod,
  planAcceptMissing,
  planRebuildManifest,
  planRelock,
  type RepairPlan,
  type WalOwner,
} from '../../../wal/index.js'
import { plural } from '../../output.js'
import type { Run } from '../../run.js'
import { integer, UsageError } from '../../usage.js'
import { WalExit, walExitOf } from './exit-codes.js'
import { exitOf, lineOf, shownFinding } from './findings.js'
import { dirOf, type RepairFlags } from './flags.js'
import { look, partsOf } from './look.js'
import { giveUpDamage, planQuarantine } from './quarantine.js'

const METHODS: readonly LockMethod[] = ['flock', 'sqlite', 'pipe', 'pidfile']
const OWNERS: readonly WalOwner[] = ['producer', 'queue']

interface Repair {
  readonly name: string
  readonly plan: () => Promise<RepairPlan>
}

export async function repair(run: Run, _words: readonly string[], flags: RepairFlags): Promise<number> {
  const dir = dirOf(flags)
  const wanted = repairOf(run, dir, flags)
  if (wanted === null) {
    if (flags.apply === true) throw new UsageError('--apply: say what to do; without it the advice is shown')
    return advise(run, dir)
  }
  const plan = await wanted.plan()
  const isDone = flags.apply === true && plan.steps.length > 0
  const report = isDone ? await plan.apply() : { copies: [] }
  await tell(run, wanted.name, plan, isDone, report.copies)
  if (plan.steps.length === 0) return WalExit.clean
  return isDone ? rest(run, dir) : pending(run, dir)
}

function repairOf(run: Run, dir: string, flags: RepairFlags): Repair | null {
  const parts = partsOf(run)
  const { rebuildManifest, quarantine, acceptMissing, relock } = flags
  const owner = oneOf('--owner', OWNERS, flags.owner)
  const segment = acceptMissing === undefined ? 0 : integer('--accept-missing', acceptMissing, 1)
  const method = relock === true ? undefined : oneOf('--relock', METHODS, relock || undefined)
  const all: (Repair | false)[] = [
    rebuildManifest === true && {
      name: 'rebuild-manifest',
      plan: () => planRebuildManifest(parts, dir, owner === undefined ? {} : { owner }),
    },
    quarantine === true && { name: 'quarantine', plan: () => planQuarantine(run, dir) },
    segment > 0 && { name: 'accept-missing', plan: () => acceptMissingPlan(run, dir, segment) },
    relock !== undefined && relock !== false && { name: 'relock', plan: () => planRelock(parts, dir, method) },
  ]
  const chosen = all.filter((one) => one !== false)
  if (chosen.length > 1)
    throw new UsageError(`one repair at a time: ${chosen.map(({ name }) => `--${name}`).join(' or ')}`)
  if (owner !== undefined && rebuildManifest !== true) throw new UsageError('--owner belongs to --rebuild-manifest')
  return chosen[0] ?? null
}

/** The empty segment alone leaves a log that refuses to open: its loss is told and recorded in the same go. */
async function acceptMissingPlan(run: Run, dir: string, segment: number): Promise<RepairPlan> {
  const plan = await planAcceptMissing(partsOf(run), dir, segment)
  if (plan.steps.length === 0) return plan
  return {
    ...plan,
    steps: [...plan.steps, 'open the log, record as lost what the segment held, close it'],
    apply: async () => {
      const { copies } = await plan.apply()
      const more = await giveUpDamage(run, dir)
      return { copies: [...copies, ...more] }
    },
  }
}

async function tell(run: Run, name: string, plan: RepairPlan, isDone: boolean, made: readonly string[]): Promise<void> {
  const { steps, warnings, copies } = plan
  const lines = [
    steps.length === 0 ? `${name}: nothing to do` : `${name}: ${isDone ? 'done' : 'this would be done'}`,
    ...steps.map((step) => `  ${step}`),
    ...warnings.map((text) => `  note: ${text}`),
    ...(isDone || copies.length === 0 ? [] : [`  copied first into quarantine/: ${copies.join(', ')}`]),
    ...made.map((path) => `  copy: ${path}`),
    ...(isDone || steps.length === 0 ? [] : ['give --apply to do it']),
  ]
  await run.out.either({ repair: name, isDone, steps, warnings, copies: isDone ? made : copies }, lines)
}

/** How the log stands after a repair. */
async function rest(run: Run, dir: string): Promise<number> {
  const { findings } = await look(run, dir, 'look')
  for (const finding of findings) await run.out.note(lineOf(finding))
  return exitOf(findings)
}

/** How it stands while nothing was done. */
async function pending(run: Run, dir: string): Promise<number> {
  try {
    return exitOf((await look(run, dir, 'look')).findings)
  } catch (error) {
    return walExitOf(error)
  }
}

/** What would help, by what stands in the way. */
async function advise(run: Run, dir: string): Promise<number> {
  try {
    const { findings, survey } = await look(run, dir, 'look')
    const exitCode = exitOf(findings)
    const advice = exitCode === WalExit.corrupt ? '--quarantine gives up what is damaged' : 'nothing needs a repair'
    await run.out.either({ findings: findings.map((one) => shownFinding(one, survey.tables)), advice }, [
      ...findings.map(lineOf),
      advice,
    ])
    if (exitCode === WalExit.corrupt) await run.out.note(`${plural(findings.length, 'finding')}: see also wal verify`)
    return exitCode
  } catch (error) {
    if (!(error instanceof MQError)) throw error
    const advice = ADVICE[String(error.context.reason)]
    if (advice === undefined) throw error
    await run.out.either({ error: error.toJSON(), advice }, [error.message, advice])
    return walExitOf(error)
  }
}

const ADVICE: Readonly<Record<string, string | undefined>> = {
  WAL_MANIFEST_MISSING: '--rebuild-manifest makes it anew from the segments',
  WAL_CORRUPT: '--rebuild-manifest, if it is MANIFEST that is damaged',
  WAL_SEGMENT_MISSING: 'restore the segment from a copy; --accept-missing n goes on without it, and loses what it held',
  WAL_LOCK_METHOD: '--relock gives the directory a lock method that this system has',
}

function oneOf<T extends string>(option: string, words: readonly T[], word: string | undefined): T | undefined {
  if (word === undefined) return undefined
  const found = words.find((one) => one === word)
  if (found === undefined) throw new UsageError(`${option}: expected one of ${words.join(', ')}, got '${word}'`)
  return found
}
