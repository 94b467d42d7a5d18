/**
 * What a command says: records and results on stdout, everything else on stderr.
 * Invariant: stdout holds nothing but what was asked for, so that it can be piped; with `--json` each line of it is one
 * JSON object.
 */
import type { CliIo } from './io.js'
import { type ClusterFlags, levelOf } from './settings.js'

/** How often a progress line is renewed. Milliseconds. */
const PROGRESS_MS = 500

export class Output {
  readonly isJson: boolean
  readonly #io: CliIo
  readonly #isQuiet: boolean
  readonly #showsProgress: boolean
  #progress: NodeJS.Timeout | null = null
  #isLineOpen = false

  constructor(io: CliIo, flags: ClusterFlags) {
    this.#io = io
    this.isJson = flags.json === true
    this.#isQuiet = levelOf(flags) === 'silent'
    this.#showsProgress = !this.#isQuiet && (flags.progress ?? (io.stderr.isTty && !io.stdout.isTty))
  }

  /** True when a summary is wanted: somebody watches, or asked for it. */
  get tellsSummary(): boolean {
    return this.#showsProgress || (this.#io.stderr.isTty && !this.#isQuiet)
  }

  bytes(bytes: Uint8Array): Promise<void> {
    return this.#io.stdout.write(bytes)
  }

  line(text: string): Promise<void> {
    return this.#io.stdout.write(`${text}\n`)
  }

  json(value: object): Promise<void> {
    return this.line(JSON.stringify(value))
  }

  /** The value as JSON, or these lines for people. */
  async either(value: object, lines: readonly string[]): Promise<void> {
    if (this.isJson) return this.json(value)
    for (const text of lines) await this.line(text)
  }

  /** One JSON object per row, or a table whose columns are as wide as they need to be. */
  async table<T extends object>(
    rows: readonly T[],
    columns: Readonly<Record<string, (row: T) => unknown>>,
  ): Promise<void> {
    if (this.isJson) {
      for (const row of rows) await this.json(row)
      return
    }
    if (rows.length === 0) return
    const names = Object.keys(columns)
    const cells = [names, ...rows.map((row) => names.map((name) => String(columns[name]?.(row) ?? '')))]
    const widths = names.map((_name, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0)))
    for (const line of cells)
      await this.line(
        line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd(),
      )
  }

  /** For people, beside the results. */
  async note(text: string): Promise<void> {
    if (this.#isQuiet) return
    this.#endLine()
    await this.#io.stderr.write(`${text}\n`)
  }

  /** What every run says at its end if somebody watches. */
  async summary(text: string): Promise<void> {
    this.endProgress()
    if (this.tellsSummary) await this.note(text)
  }

  /** Renews a line on a terminal, or writes one now and then, until `endProgress`. */
  startProgress(text: () => string): void {
    if (!this.#showsProgress) return
    this.#progress = setInterval(() => this.#tell(text()), PROGRESS_MS)
  }

  endProgress(): void {
    if (this.#progress !== null) clearInterval(this.#progress)
    this.#progress = null
    this.#endLine()
  }

  #tell(text: string): void {
    if (!this.#io.stderr.isTty) {
      void this.#io.stderr.write(`${text}\n`)
      return
    }
    this.#isLineOpen = true
    void this.#io.stderr.write(`\r\x1b[K${text}`)
  }

  #endLine(): void {
    if (this.#isLineOpen) void this.#io.stderr.write('\r\x1b[K')
    this.#isLineOpen = false
  }
}

export function count(value: number): string {
  return value.toLocaleString('en-US')
}

export function plural(value: number, word: string): string {
  return `${count(value)} ${word}${value === 1 ? '' : 's'}`
}

export function amount(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  const step = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  return step === 0 ? `${bytes} B` : `${(bytes / 1000 ** step).toFixed(1)} ${units[step]}`
}
