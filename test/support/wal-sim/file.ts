/**
 * One file of the simulated disk: what readers see (`cached`), what a power cut leaves for certain (`durable`), and
 * between the two every content a sector had since it was last synced, any of which may be what the platter holds.
 * Invariant: a sync makes durable exactly what had been written when it was issued. After a failed sync that dropped
 * its pages, readers see them still, and no later sync brings them to the disk (the trap that made `poisoned`
 * necessary: wal.md 3.7).
 */
import { isSameSector, type Sector, sectorOf, zeroSector } from './sector.js'

interface Version {
  readonly order: number
  readonly sector: Sector
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'other'

/** A file as a crash left it. Its sectors are shared with the disk it came from: never changed. */
export interface ImageFile {
  readonly id: number
  readonly kind: FileKind
  readonly mode: number
  readonly userId: number
  readonly sectors: readonly Sector[]
  readonly bytes: number
}

export class SimFile {
  readonly id: number
  readonly kind: FileKind
  mode: number
  userId: number
  readonly sectorBytes: number
  cachedBytes: number
  durableBytes: number
  #cached: Sector[]
  #durable: Sector[]
  /** Both arrays belong to an image until the first write. */
  #isShared: boolean
  /** Unsynced contents by sector, oldest first. */
  readonly versions = new Map<number, Version[]>()
  #order = 0

  constructor(image: ImageFile, sectorBytes: number) {
    this.id = image.id
    this.kind = image.kind
    this.mode = image.mode
    this.userId = image.userId
    this.sectorBytes = sectorBytes
    this.cachedBytes = image.bytes
    this.durableBytes = image.bytes
    this.#cached = image.sectors as Sector[]
    this.#durable = this.#cached
    this.#isShared = true
  }

  static empty(id: number, kind: FileKind, mode: number, userId: number, sectorBytes: number): SimFile {
    return new SimFile({ id, kind, mode, userId, sectors: [], bytes: 0 }, sectorBytes)
  }

  get cached(): readonly Sector[] {
    return this.#cached
  }

  get durable(): readonly Sector[] {
    return this.#durable
  }

  /** Marks what a sync issued now would make durable. */
  get mark(): { readonly order: number; readonly bytes: number } {
    return { order: this.#order, bytes: this.cachedBytes }
  }

  read(into: Uint8Array, position: number): number {
    const end = Math.min(this.cachedBytes, position + into.length)
    for (let at = position; at < end; ) {
      const index = Math.floor(at / this.sectorBytes)
      const from = at - index * this.sectorBytes
      const take = Math.min(this.sectorBytes - from, end - at)
      const sector = this.#cached[index]
      if (sector === undefined) into.fill(0, at - position, at - position + take)
      if (sector !== undefined) {
        if (take === this.sectorBytes) into.set(sector.bytes, at - position)
        else into.set(sector.bytes.subarray(from, from + take), at - position)
      }
      at += take
    }
    return Math.max(0, end - position)
  }

  /** The sectors as they would be after that write, without doing it. */
  preview(bytes: Uint8Array, position: number): { readonly index: number; readonly sector: Sector }[] {
    const touched: { index: number; sector: Sector }[] = []
    for (let at = 0; at < bytes.length; ) {
      const index = Math.floor((position + at) / this.sectorBytes)
      const from = position + at - index * this.sectorBytes
      const take = Math.min(this.sectorBytes - from, bytes.length - at)
      const copy = Uint8Array.from(this.#sectorAt(index).bytes)
      copy.set(bytes.subarray(at, at + take), from)
      touched.push({ index, sector: sectorOf(copy) })
      at += take
    }
    return touched
  }

  write(bytes: Uint8Array, position: number): void {
    this.#own()
    this.#order++
    for (const { index, sector } of this.preview(bytes, position)) {
      while (this.#cached.length <= index) this.#cached.push(zeroSector(this.sectorBytes))
      this.#cached[index] = sector
      const older = this.versions.get(index)
      if (older !== undefined) older.push({ order: this.#order, sector })
      else if (!isSameSector(this.durableAt(index), sector)) this.versions.set(index, [{ order: this.#order, sector }])
    }
    this.cachedBytes = Math.max(this.cachedBytes, position + bytes.length)
  }

  /** A sync that was issued at `mark` came to its end. */
  synced(mark: { readonly order: number; readonly bytes: number }): void {
    this.#own()
    this.#forget(mark.order, (index, sector) => {
      while (this.#durable.length <= index) this.#durable.push(zeroSector(this.sectorBytes))
      this.#durable[index] = sector
    })
    this.durableBytes = Math.max(this.durableBytes, mark.bytes)
  }

  /** A sync failed and its pages count as clean from now on. */
  dropped(mark: { readonly order: number }): void {
    this.#forget(mark.order, () => {})
  }

  durableAt(index: number): Sector {
    return this.#durable[index] ?? zeroSector(this.sectorBytes)
  }

  /** As it stands for readers: what is left when only the process dies. */
  image(): ImageFile {
    this.#isShared = true
    return {
      id: this.id,
      kind: this.kind,
      mode: this.mode,
      userId: this.userId,
      sectors: this.#cached,
      bytes: this.cachedBytes,
    }
  }

  #forget(upTo: number, take: (index: number, sector: Sector) => void): void {
    for (const [index, versions] of this.versions) {
      let covered = 0
      while (covered < versions.length && (versions[covered] as Version).order <= upTo) covered++
      if (covered === 0) continue
      take(index, (versions[covered - 1] as Version).sector)
      if (covered === versions.length) this.versions.delete(index)
      else versions.splice(0, covered)
    }
  }

  #sectorAt(index: number): Sector {
    return this.#cached[index] ?? zeroSector(this.sectorBytes)
  }

  #own(): void {
    if (!this.#isShared) return
    this.#isShared = false
    this.#cached = [...this.#cached]
    this.#durable = [...this.#durable]
  }
}
