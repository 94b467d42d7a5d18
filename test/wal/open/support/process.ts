/** Runs scenes (scene.ts) in processes of their own, under whatever launcher a test needs, and reads what they tell. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WalOptions } from '../../../../lib/wal/index.js'

const SCENE = fileURLToPath(new URL('./scene.ts', import.meta.url))

export interface Line {
  readonly opened?: number
  readonly incarnation?: number
  readonly incarnationId?: string
  readonly walId?: string
  // biome-ignore lint/suspicious/noExplicitAny: what a child tells is checked by the test that asked for it.
  readonly recovered?: any
  readonly error?: { code: string; message: string; reason?: string; errno?: string; path?: string }
  readonly context?: Record<string, unknown>
  readonly accepted?: number
  readonly closed?: boolean
  readonly ms?: number
  readonly event?: string
  readonly [key: string]: unknown
}

/** The command line of a scene, for launchers that take it as words. */
export function sceneCommand(scene: string, dir: string, options: Partial<WalOptions> = {}): string[] {
  return [process.execPath, '--import', 'tsx', SCENE, scene, dir, JSON.stringify(options)]
}

export class SceneProcess {
  readonly child: ChildProcess
  readonly lines: Line[] = []
  readonly ended: Promise<void>
  errors = ''
  #onLine: (() => void) | null = null

  constructor(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const [program = '', ...words] = command
    this.child = spawn(program, words, { stdio: 'pipe', env: { ...process.env, ...env } })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    const output = createInterface({ input: this.child.stdout! })
    output.on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line)
      this.#onLine?.()
    })
    const exited = once(this.child, 'close')
    this.child.once('exit', () => this.#onLine?.())
    this.ended = exited.then(() => this.#onLine?.())
  }

  /** The first line of that kind from `from` on; throws when the process ends without one. */
  async line(kind: string, from = 0): Promise<Line> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => line[kind] !== undefined)
      if (found !== undefined) return found
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        await this.ended
        const last = this.lines.slice(from).find((line) => line[kind] !== undefined)
        if (last !== undefined) return last
        throw new Error(`no line with ${kind}: ${JSON.stringify(this.lines.slice(-3))}\n${this.errors}`)
      }
      await new Promise<void>((resolve) => {
        this.#onLine = resolve
      })
    }
  }

  say(words: string): void {
    this.child.stdin?.write(`${words}\n`)
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.ended
  }

  accepted(): number[] {
    return this.lines.flatMap(({ accepted }) => (accepted === undefined ? [] : [accepted]))
  }
}

/** To its end; what it told. */
export async function runScene(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<SceneProcess> {
  const process = new SceneProcess(command, env)
  await process.ended
  return process
}

/** Whether a program with these words works here; a test that needs it says so when not. */
export function works(program: string, ...words: string[]): boolean {
  return spawnSync(program, words, { stdio: 'ignore' }).status === 0
}
