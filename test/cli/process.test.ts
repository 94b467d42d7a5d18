/** The program as a process: its streams, its signals, a reader that leaves. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { type Broker, createBroker } from '../../lib/broker/index.js'

const PROGRAM = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url))

/** Everything that is loaded before a command is: imports of values, dynamic ones left out. */
function loadedAtStart(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type )[^'(]*'(\.[^']+)'/gm)) {
    loadedAtStart(resolve(dirname(file), (specifier as string).replace(/\.js$/, '.ts')), found)
  }
  return found
}

describe('the process', () => {
  const children: ChildProcess[] = []
  let broker: Broker | null = null
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await broker?.close()
    broker = null
  })

  function start(...words: string[]) {
    const env = { ...process.env, TANDEM_BROKERS: broker?.bootstrap ?? '' }
    const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, ...words], { env, stdio: 'pipe' })
    children.push(child)
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const done = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
      child.on('close', (code) => resolve({ code, stdout, stderr }))
    })
    return { child, done }
  }

  async function serve(): Promise<Broker> {
    broker = await createBroker()
    broker.createTopic('orders')
    return broker
  }

  it('CM-1: stdin to the topic, and back to stdout; exit codes reach the shell', async () => {
    await serve()
    const produce = start('-P', '-t', 'orders')
    produce.child.stdin.end('a\nb\n')
    expect(await produce.done).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(await start('-C', '-t', 'orders', '-e').done).toEqual({ code: 0, stdout: 'a\nb\n', stderr: '' })
    expect((await start('consume').done).code).toBe(2)
  }, 60_000)

  it('CM-1: SIGINT and SIGTERM end it well: what was read is delivered', async () => {
    const served = await serve()
    const ended = async (signal: 'SIGINT' | 'SIGTERM') => {
      served.createTopic(signal)
      const { child, done } = start('produce', '-t', signal, '--progress')
      child.stdin.write('a\n')
      await served.appended(signal, 0, 1)
      child.kill(signal)
      return done
    }
    for (const { code, stderr } of await Promise.all([ended('SIGINT'), ended('SIGTERM')])) {
      expect([code, stderr]).toEqual([0, expect.stringContaining('produced 1 record')])
    }
  }, 60_000)

  it('CM-1: a reader that leaves (EPIPE) ends it quietly', async () => {
    await serve()
    const produce = start('produce', '-t', 'orders')
    produce.child.stdin.end(`${'x'.repeat(1000)}\n`.repeat(5_000))
    expect((await produce.done).code).toBe(0)
    const { child, done } = start('consume', '-t', 'orders')
    child.stdout?.once('data', () => child.stdout?.destroy())
    const { code, stderr } = await done
    expect([code, stderr]).toEqual([0, ''])
  }, 60_000)

  it('CM-1: help loads no client', () => {
    const room = dirname(PROGRAM)
    const files = [...loadedAtStart(PROGRAM)].map((file) => relative(room, file)).sort()
    expect(files).toContain('program.ts')
    expect(files.filter((file) => file.startsWith('..') || file.startsWith('commands'))).toEqual([])
  })
})
