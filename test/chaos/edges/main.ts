/**
 * The edges as a program, for a real Kafka: `npx tsx test/chaos/edges/main.ts [--broker kafka|kafka3|inprocess] [--only words]`.
 * KAFKA_BROKERS with KAFKA_STATE_FOLDER names a Kafka that may be restarted; else one node is started here; kafka3 always
 * starts three.
 * Exit code 1: a story did not end as wal.md 1.3 says.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Children } from '../support/children.js'
import { compileChild } from '../support/compiled.js'
import { InProcessStage } from './in-process-stage.js'
import { KafkaStage } from './kafka-stage.js'
import { play } from './play.js'
import { SCENARIOS, type Scenario } from './scenarios.js'
import type { EdgeStage } from './stage.js'
import { ThreeNodeStage } from './three-node-stage.js'

const DURABILITIES = ['os', 'periodic', 'immediate'] as const

let skipped = 0
process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { broker: { type: 'string', default: 'kafka' }, only: { type: 'string', default: '' } },
  })
  const { broker } = values
  if (broker !== 'kafka' && broker !== 'kafka3' && broker !== 'inprocess') {
    process.stderr.write(`--broker is kafka, kafka3 or inprocess, not ${broker}\n`)
    return 2
  }
  const compiled = compileChild()
  const children = new Children(compiled.path)
  const root = mkdtempSync(join(tmpdir(), 'tandem-edges-'))
  try {
    const scenarios = SCENARIOS.filter(({ name }) => name.includes(values.only))
    if (broker === 'inprocess') return await inProcess(scenarios, children, root)
    return await onKafka(scenarios, children, root, broker === 'kafka' ? KafkaStage : ThreeNodeStage)
  } finally {
    await children.close()
    compiled.remove()
    rmSync(root, { recursive: true, force: true })
  }
}

async function onKafka(
  scenarios: readonly Scenario[],
  children: Children,
  root: string,
  kafka: { start(): Promise<EdgeStage> },
): Promise<number> {
  await using stage = await kafka.start()
  let failed = 0
  for (const scenario of scenarios) failed += await playOne(scenario, stage, children, root)
  return verdict(scenarios.length, failed)
}

/** A cluster for each, since some scenarios leave it changed. */
async function inProcess(scenarios: readonly Scenario[], children: Children, root: string): Promise<number> {
  let failed = 0
  for (const scenario of scenarios) {
    await using stage = await InProcessStage.start()
    failed += await playOne(scenario, stage, children, root)
  }
  return verdict(scenarios.length, failed)
}

async function playOne(scenario: Scenario, stage: EdgeStage, children: Children, root: string): Promise<number> {
  const absent = scenario.absent?.(stage) ?? null
  if (absent !== null) {
    print(`SKIPPED  ${scenario.name} (${absent})`)
    skipped++
    return 0
  }
  const index = SCENARIOS.indexOf(scenario)
  const topic = `edge-${index}-${Date.now().toString(36)}`
  const durability = DURABILITIES[index % DURABILITIES.length] ?? 'os'
  const startedMs = performance.now()
  const wrong = await play(scenario, stage, children, { topic, dir: join(root, topic), durability }).catch(
    (error: unknown) => [error instanceof Error ? error.message : String(error)],
  )
  const took = `${Math.round(performance.now() - startedMs)} ms`
  print(`${wrong.length === 0 ? 'ok     ' : 'FAILED '}  ${scenario.name} (${durability}, ${took})`)
  for (const line of wrong) print(`         ${line}`)
  return wrong.length === 0 ? 0 : 1
}

function verdict(stories: number, failed: number): number {
  const played = stories - skipped
  print(`${played - failed} passed, ${failed} failed, ${skipped} skipped`)
  return played > 0 && failed === 0 ? 0 : 1
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
