/**
 * The directories of the simulated disk: which path leads to which file, and which of those steps a power cut undoes.
 * Invariant: a change is durable once the directory of its new name was synced after it. Until then each file is
 * under any one of the names it had since, so an entry can vanish and an unlinked file can come back.
 */
import type { SimFile } from './file.js'

export interface NameChange {
  readonly order: number
  readonly file: SimFile
  /** null: unlinked. */
  readonly name: string | null
  readonly directory: string
  /** The file that had the name before a rename took it. */
  readonly replaced: SimFile | null
}

export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/')
  return cut <= 0 ? '/' : path.slice(0, cut)
}

export class Names {
  readonly cached = new Map<string, SimFile>()
  readonly durable = new Map<string, SimFile>()
  /** Not synced yet, oldest first. */
  changes: NameChange[] = []
  #order = 0

  /** A name that was there when the machine started. */
  seed(path: string, file: SimFile): void {
    this.cached.set(path, file)
    this.durable.set(path, file)
  }

  get(path: string): SimFile | undefined {
    return this.cached.get(path)
  }

  get mark(): number {
    return this.#order
  }

  link(path: string, file: SimFile): void {
    this.#note(file, path, parentOf(path), this.cached.get(path) ?? null)
    this.cached.set(path, file)
  }

  unlink(path: string): void {
    const file = this.cached.get(path)
    if (file === undefined) return
    this.#note(file, null, parentOf(path), null)
    this.cached.delete(path)
  }

  rename(from: string, to: string): void {
    const file = this.cached.get(from)
    if (file === undefined) return
    this.#note(file, to, parentOf(to), this.cached.get(to) ?? null)
    this.cached.delete(from)
    this.cached.set(to, file)
  }

  children(directory: string): string[] {
    const prefix = directory === '/' ? '/' : `${directory}/`
    const names: string[] = []
    for (const path of this.cached.keys()) {
      if (path.startsWith(prefix) && path.length > prefix.length && path.indexOf('/', prefix.length) === -1)
        names.push(path.slice(prefix.length))
    }
    return names
  }

  /** A sync of that directory, issued at `mark`, came to its end. */
  synced(directory: string, mark: number): void {
    const left: NameChange[] = []
    for (const change of this.changes) {
      if (change.directory !== directory || change.order > mark) left.push(change)
      else this.#makeDurable(change)
    }
    this.changes = left
  }

  #makeDurable(change: NameChange): void {
    for (const [path, file] of this.durable) if (file === change.file) this.durable.delete(path)
    if (change.name !== null) this.durable.set(change.name, change.file)
  }

  #note(file: SimFile, name: string | null, directory: string, replaced: SimFile | null): void {
    this.changes.push({ order: ++this.#order, file, name, directory, replaced })
  }
}
