/**
 * Gives the integration tests a Kafka: the one named by KAFKA_BROKERS, else one node of `scripts/kafka`, ended afterwards.
 * Invariant: what was started here, or by a test that died before it could clean up, is stopped here; where no Kafka can
 * be had the tests are skipped with the reason, and TANDEM_REQUIRE_KAFKA=1 turns that reason into a failure.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

const SCRIPT = fileURLToPath(new URL('../../scripts/kafka', import.meta.url))
/** Names the folder of this run to the tests, which run in processes of their own. */
const RUN_FOLDER = 'TANDEM_KAFKA_RUN_FOLDER'

/** Where the Kafka of this run is, or why there is none. Folders are null for a Kafka that somebody else runs. */
export interface RealKafka {
  readonly brokers: readonly string[]
  readonly jarFolder: string | null
  readonly dataFolder: string | null
  /** KAFKA_STATE of a node that tests may stop, kill and start again; null when it belongs to somebody else. */
  readonly stateFolder: string | null
  readonly absent: string | null
}

declare module 'vitest' {
  export interface ProvidedContext {
    realKafka: RealKafka
  }
}

/** A KAFKA_STATE of its own for one more cluster. */
export function newStateFolder(): string {
  return mkdtempSync(join(process.env[RUN_FOLDER] ?? tmpdir(), 'tandem-kafka-state-'))
}

export default function setup(project: TestProject): () => void {
  const runFolder = mkdtempSync(join(tmpdir(), 'tandem-kafka-run-'))
  process.env[RUN_FOLDER] = runFolder
  const endAll = () => {
    for (const name of readdirSync(runFolder)) kafka(['down'], join(runFolder, name))
    rmSync(runFolder, { recursive: true, force: true })
  }
  try {
    provideKafka(project)
  } catch (error) {
    endAll()
    throw error
  }
  return endAll
}

function provideKafka(project: TestProject): void {
  const given = process.env.KAFKA_BROKERS
  if (given !== undefined && given !== '') {
    project.provide('realKafka', {
      brokers: given.split(','),
      jarFolder: process.env.KAFKA_JARS ?? jarsOrNull(),
      dataFolder: process.env.KAFKA_DATA_FOLDER ?? null,
      stateFolder: process.env.KAFKA_STATE_FOLDER ?? null,
      absent: null,
    })
    return
  }
  const stateFolder = newStateFolder()
  try {
    kafka(['up', '1'], stateFolder)
    project.provide('realKafka', fromEnvironmentLines(kafka(['env'], stateFolder), stateFolder))
  } catch (error) {
    kafka(['down'], stateFolder)
    const absent = storyOf(error)
    if (process.env.TANDEM_REQUIRE_KAFKA === '1') throw new Error(`no Kafka to test with: ${absent}`, { cause: error })
    console.error(`SKIPPED: every integration test, no Kafka to test with: ${absent}`)
    project.provide('realKafka', { brokers: [], jarFolder: null, dataFolder: null, stateFolder: null, absent })
  }
}

/** One command of scripts/kafka; its output. */
export function kafka(args: readonly string[], stateFolder: string): string {
  const env = { ...process.env, KAFKA_STATE: stateFolder }
  return execFileSync(process.execPath, [SCRIPT, ...args], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** The same without stopping the world. */
export async function kafkaMeanwhile(args: readonly string[], stateFolder: string): Promise<void> {
  await promisify(execFile)(process.execPath, [SCRIPT, ...args], { env: { ...process.env, KAFKA_STATE: stateFolder } })
}

/** The jars alone are enough for the Java readers of a foreign Kafka. */
function jarsOrNull(): string | null {
  try {
    return kafka(['jars'], '').trim()
  } catch {
    return null
  }
}

export function fromEnvironmentLines(text: string, stateFolder: string): RealKafka {
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  return {
    brokers: value('KAFKA_BROKERS').split(','),
    jarFolder: value('KAFKA_JARS'),
    dataFolder: value('KAFKA_DATA_FOLDER'),
    stateFolder,
    absent: null,
  }
}

function storyOf(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
  return stderr !== '' ? stderr : String(error)
}
