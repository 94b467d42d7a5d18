/**
 * Failures as one clear line: code, text, and how the run ends.
 * Why lines and no stacks: whoever types a command looks for what to do next; `--debug` shows where it came from.
 * Invariant: 2 is told only of what was wrong before anything was begun.
 */
import { isFamily, MQError } from '../index.js'
import { FAILED, USAGE } from './exit-codes.js'
import type { CliIo } from './io.js'
import type { ClusterFlags } from './settings.js'
import { UsageError } from './usage.js'

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return USAGE
  if (!(error instanceof MQError) || error.context.kafkaCode !== undefined) return FAILED
  return isFamily(error, 'config') || error.is('INVALID_TOPIC') ? USAGE : FAILED
}

/** `exitCode` is what a command with codes of its own makes of it. */
export async function report(
  error: unknown,
  io: CliIo,
  flags: ClusterFlags,
  exitCode = exitCodeOf(error),
): Promise<number> {
  if (flags.json === true) {
    await io.stderr.write(`${JSON.stringify({ error: plain(error) })}\n`)
  } else {
    for (const line of linesOf(error)) await io.stderr.write(`tandem-mq: ${line}\n`)
    if (error instanceof UsageError) await io.stderr.write("try 'tandem-mq --help'\n")
  }
  if (flags.debug === true && error instanceof Error) await io.stderr.write(`${stackOf(error)}\n`)
  return exitCode
}

/** One line; wrong settings each have one of their own. */
function linesOf(error: unknown): string[] {
  if (!(error instanceof MQError)) return [error instanceof Error ? error.message : String(error)]
  const { issues } = error.context
  if (!Array.isArray(issues)) return [textOf(error)]
  return (issues as { path: string; expected: string; value?: unknown }[]).map(
    ({ path, expected }) => `${error.code}: ${path}: expected ${expected}`,
  )
}

export function textOf(error: MQError): string {
  const hint = HINTS[error.code]
  // Of the log the finer word is the one its documentation knows.
  const reason = String(error.context.reason ?? '')
  const name = reason.startsWith('WAL_') ? reason : error.code
  return `${name}: ${error.message.replaceAll(/\s*\n\s*/g, ' ')}${hint === undefined ? '' : ` (${hint})`}`
}

/** What helps at a command line, where the text of the error cannot know that it stands there. */
const HINTS: Readonly<Record<string, string>> = {
  CONNECTION_FAILED: 'check -b and that the broker runs',
  CONNECTION_TIMEOUT: 'check -b, a firewall, or give -m more seconds',
  AUTHENTICATION_FAILED: 'check -X sasl.mechanism, sasl.username and TANDEM_SASL_PASSWORD',
  TOPIC_NOT_FOUND: "see 'tandem-mq topics list'",
}

function plain(error: unknown): unknown {
  if (error instanceof MQError) return error.toJSON()
  if (error instanceof UsageError) return { name: error.name, code: 'USAGE', message: error.message }
  return { name: 'Error', message: error instanceof Error ? error.message : String(error) }
}

function stackOf(error: Error): string {
  const causes: string[] = []
  for (let at: unknown = error; at instanceof Error && causes.length < 8; at = at.cause)
    causes.push(at.stack ?? String(at))
  return causes.join('\ncaused by: ')
}
