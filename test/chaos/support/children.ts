/**
 * Child processes of the kill tests: one is always loaded and waits for its job, so that a cycle does not pay for the
 * start of a process.
 * Invariant: every process that was started here has ended when `close()` resolves.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Job, Milestone } from './job.js'

export interface ChildEvent {
  /** As the producer names it: `walEdge` .. */
  readonly name: string
  readonly what: Readonly<Record<string, unknown>>
}

/** Hears what a child tells, line by line. */
export interface ChildEars {
  sent(lane: number, from: number, to: number): void
  accepted(lane: number, from: number, to: number): void
  refused(lane: number, number: number, code: string, status: string): void
  event(event: ChildEvent): void
}

export class Child {
  readonly #process: ChildProcess
  readonly #milestones = new Map<Milestone, unknown>()
  readonly #waiters = new Set<() => void>()
  #ears: ChildEars | null = null
  #hasEnded = false
  #rest = ''
  /** Settles when the process has ended and everything it wrote has been read. */
  readonly ended: Promise<void>
  /** What it wrote to its standard error. */
  stderr = ''

  constructor(path: string, onEnded: (child: Child) => void) {
    this.#process = spawn(process.execPath, ['--enable-source-maps', path], { stdio: ['pipe', 'pipe', 'pipe'] })
    const { stdin, stdout, stderr } = this.#process
    if (stdin === null || stdout === null || stderr === null) throw new Error('a child without pipes')
    stdin.on('error', () => {}) // it was killed while its job was on the way
    stderr.on('data', (text: Buffer) => {
      this.stderr = (this.stderr + text.toString()).slice(-4_000)
    })
    stdout.setEncoding('latin1').on('data', (text: string) => this.#read(text))
    this.ended = new Promise((resolve) => {
      this.#process.once('close', () => {
        this.#hasEnded = true
        this.#wake()
        onEnded(this)
        resolve()
      })
      this.#process.once('error', (error) => {
        this.stderr += error.message
      })
    })
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  begin(job: Job, ears: ChildEars): void {
    this.#ears = ears
    this.#process.stdin?.end(`${JSON.stringify(job)}\n`)
  }

  has(milestone: Milestone): boolean {
    return this.#milestones.has(milestone)
  }

  /** What came with the milestone. */
  of(milestone: Milestone): unknown {
    return this.#milestones.get(milestone)
  }

  /** Settles when one of them was reached or the process has ended: 'ended' then. */
  async reached(...milestones: readonly Milestone[]): Promise<Milestone | 'ended'> {
    for (;;) {
      const found = milestones.find((one) => this.#milestones.has(one))
      if (found !== undefined) return found
      if (this.#hasEnded) return 'ended'
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    }
  }

  /** SIGKILL; settles when everything that it had written is read. */
  kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    return this.ended
  }

  stop(): void {
    this.#process.kill('SIGSTOP')
  }

  continue(): void {
    this.#process.kill('SIGCONT')
  }

  /** A line that was cut by the kill was never told. */
  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#hear(line)
  }

  #hear(line: string): void {
    const kind = line.charCodeAt(0)
    if (kind === 0x53 /* S */ || kind === 0x41 /* A */ || kind === 0x44 /* D */) {
      const [, lane, from, to] = line.split(' ').map(Number) as [number, number, number, number]
      if (kind === 0x53) this.#ears?.sent(lane, from, to)
      else this.#ears?.accepted(lane, from, to)
      return
    }
    const [letter, name = '', ...rest] = line.split(' ')
    if (letter === 'F') this.#ears?.refused(Number(name), Number(rest[0]), rest[1] ?? '', rest[2] ?? '')
    else if (letter === 'E') this.#ears?.event({ name, what: JSON.parse(rest.join(' ')) as ChildEvent['what'] })
    else if (letter === 'X') {
      this.#milestones.set(name as Milestone, rest.length === 0 ? null : JSON.parse(rest.join(' ')))
      this.#wake()
    }
  }

  #wake(): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const wake of waiters) wake()
  }
}

export class Children {
  readonly #path: string
  readonly #all = new Set<Child>()
  #spare: Child | null = null
  #isClosed = false

  constructor(path: string) {
    this.#path = path
    this.#spare = this.#fork()
  }

  /** A child that is loaded, and the next one on its way. */
  async take(): Promise<Child> {
    const child = this.#spare ?? this.#fork()
    this.#spare = null
    if ((await child.reached('ready')) === 'ended') throw new Error(`a child ended before its job: ${child.stderr}`)
    this.#spare = this.#fork()
    return child
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#all].map((child) => child.kill()))
  }

  #fork(): Child {
    if (this.#isClosed) throw new Error('no child after close()')
    const child = new Child(this.#path, (ended) => this.#all.delete(ended))
    this.#all.add(child)
    return child
  }
}
