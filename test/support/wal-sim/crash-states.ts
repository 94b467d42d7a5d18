/**
 * All that can be found on the disk when the machine, or only the process, dies at this very moment.
 * A crash state is a pick from a few independent choices: for each unsynced sector which of its contents the platter
 * has, for each unsynced name which one the directory has, for each file that grew which length it has, for each call
 * on its way how much of it was done. Up to `limit` picks are all enumerated; beyond, the corners (all, none, each one
 * lost, each one kept, every cut of the order of writing) and then a seeded sample.
 * A process that dies loses no page: there the choices are only the calls on their way.
 * Invariant: two picks with the same content have the same hash, whatever the way that led there.
 */
import { type RandomSource, randomInt } from '../../../lib/util/index.js'
import type { Image, SimDisk } from './disk.js'
import type { ImageFile, SimFile } from './file.js'
import { parentOf } from './names.js'
import { mix, type Sector, TEAR_KINDS, tear, zeroSector } from './sector.js'

export type CrashKind = 'kill' | 'power'

interface Subject {
  readonly file: SimFile
  readonly sectors: readonly Sector[]
  readonly bytes: number
  readonly name: string | null
  low: number
  high: number
}

/** One independent choice; option 0 is "lost". */
interface Choice {
  readonly subject: number
  /** sector: `sectors[pick]` at `index` | prefix: the first `pick` of `touched` | size, name: as said. */
  readonly kind: 'sector' | 'prefix' | 'size' | 'name'
  readonly options: number
  readonly index: number
  readonly sectors: readonly Sector[]
  readonly touched: readonly { readonly index: number; readonly sector: Sector }[]
  readonly sizes: readonly number[]
  readonly names: readonly (string | null)[]
  /** The file that lost its name to that option. */
  readonly replaced: readonly (SimFile | null)[]
}

export class CrashStates {
  readonly kind: CrashKind
  readonly sectorBytes: number
  readonly choices: Choice[] = []
  readonly #subjects: Subject[] = []
  readonly #subjectOf = new Map<SimFile, number>()
  readonly #directories = new Set<string>()
  readonly picks: Uint16Array
  /** A torn sector in place of the picked one; null: none. */
  torn: { readonly choice: number; readonly sector: Sector; readonly how: string } | null = null

  constructor(disk: SimDisk, kind: CrashKind) {
    this.kind = kind
    this.sectorBytes = disk.sectorBytes
    if (kind === 'kill') this.#planKill(disk)
    else this.#planPower(disk)
    for (const subject of this.#subjects) hashFile(subject)
    this.picks = new Uint16Array(this.choices.length)
  }

  /** Number of all picks, without torn sectors. May be huge. */
  get combinations(): number {
    return this.choices.reduce((product, choice) => product * choice.options, 1)
  }

  /** Calls `visit` for each pick, at most about `limit` times; `visit` gives false to stop. */
  forEach(limit: number, random: RandomSource, visit: (states: CrashStates) => void): void {
    this.torn = null
    if (this.combinations <= limit) this.#all(visit)
    else this.#sample(limit, random, visit)
    if (this.kind === 'power') this.#tears(Math.min(limit, this.choices.length * 4), random, visit)
    this.torn = null
  }

  /** Hash of the state, or NaN when no file system could leave it. 53 bits. */
  hash(): number {
    const names = this.#names()
    if (names === null) return Number.NaN
    let low = 0
    let high = 0
    for (let at = 0; at < this.#subjects.length; at++) {
      const name = names[at] as string | null
      if (name === null) continue
      const subject = this.#subjects[at] as Subject
      const bytes = this.#bytesOf(at, subject)
      let fileLow = subject.low
      let fileHigh = subject.high
      for (let c = 0; c < this.choices.length; c++) {
        const choice = this.choices[c] as Choice
        if (choice.subject !== at) continue
        if (choice.kind === 'sector') {
          if (choice.index * this.sectorBytes >= bytes) continue
          const sector = this.#pickOf(c, choice)
          const base = choice.sectors[0] as Sector
          fileLow = (fileLow - share(base.low, choice.index) + share(sector.low, choice.index)) | 0
          fileHigh = (fileHigh - share(base.high, choice.index) + share(sector.high, choice.index)) | 0
        } else if (choice.kind === 'prefix') {
          for (let t = 0; t < (this.picks[c] as number); t++) {
            const { index, sector } = choice.touched[t]!
            const base = subject.sectors[index] ?? zeroSector(this.sectorBytes)
            fileLow = (fileLow - share(base.low, index) + share(sector.low, index)) | 0
            fileHigh = (fileHigh - share(base.high, index) + share(sector.high, index)) | 0
          }
        }
      }
      const named = hashText(name)
      low = (low + mix(fileLow ^ bytes, named)) | 0
      high = (high + mix(fileHigh + bytes, named ^ 0x5bd1e995)) | 0
    }
    return (low >>> 0) * 0x200000 + ((high >>> 0) & 0x1fffff)
  }

  /** What a machine that starts again finds. Only for picks whose hash is a number. */
  image(): Image {
    const names = this.#names()
    const files = new Map<string, ImageFile>()
    for (let at = 0; names !== null && at < this.#subjects.length; at++) {
      const name = names[at] as string | null
      if (name === null) continue
      const subject = this.#subjects[at] as Subject
      const { id, kind, mode, userId } = subject.file
      files.set(name, { id, kind, mode, userId, ...this.#contentOf(at, subject) })
    }
    return { files, sectorBytes: this.sectorBytes }
  }

  /** The picks in words, for a story. */
  describe(): string[] {
    const lines = this.choices.map((choice, at) => {
      const subject = this.#subjects[choice.subject] as Subject
      const file = subject.name ?? `file ${subject.file.id}`
      const pick = this.picks[at] as number
      if (choice.kind === 'sector') {
        const torn = this.torn?.choice === at ? `torn, ${this.torn.how}` : pick === 0 ? 'lost' : `version ${pick}`
        return `${file} sector ${choice.index}: ${torn} (of ${choice.options - 1})`
      }
      if (choice.kind === 'prefix') return `${file} write under way: ${pick} of ${choice.touched.length} sectors`
      if (choice.kind === 'size') return `${file} length: ${choice.sizes[pick]}`
      return `${file} name: ${choice.names[pick] ?? 'none'}`
    })
    return [`crash: ${this.kind}`, ...lines]
  }

  #all(visit: (states: CrashStates) => void): void {
    this.picks.fill(0)
    for (;;) {
      visit(this)
      let at = 0
      while (at < this.picks.length) {
        const next = (this.picks[at] as number) + 1
        if (next < (this.choices[at] as Choice).options) {
          this.picks[at] = next
          break
        }
        this.picks[at++] = 0
      }
      if (at === this.picks.length) return
    }
  }

  #sample(limit: number, random: RandomSource, visit: (states: CrashStates) => void): void {
    const count = this.choices.length
    const last = (at: number) => (this.choices[at] as Choice).options - 1
    let left = limit
    const visitPicks = (pick: (at: number) => number) => {
      if (left-- <= 0) return
      for (let at = 0; at < count; at++) this.picks[at] = pick(at)
      visit(this)
    }
    visitPicks(() => 0)
    visitPicks(last)
    for (let one = 0; one < count; one++) {
      visitPicks((at) => (at === one ? 0 : last(at)))
      visitPicks((at) => (at === one ? last(at) : 0))
      visitPicks((at) => (at <= one ? last(at) : 0))
      visitPicks((at) => (at > one ? last(at) : 0))
    }
    while (left > 0) {
      const bias = random.next()
      visitPicks((at) => (random.next() < bias ? last(at) : randomInt(random, last(at) + 1)))
    }
  }

  #tears(count: number, random: RandomSource, visit: (states: CrashStates) => void): void {
    const sectors = this.choices.flatMap((choice, at) => (choice.kind === 'sector' ? [at] : []))
    for (let turn = 0; sectors.length > 0 && turn < count; turn++) {
      const bias = random.next() < 0.5 ? 1 : random.next()
      for (let at = 0; at < this.picks.length; at++) {
        const { options } = this.choices[at] as Choice
        this.picks[at] = random.next() < bias ? options - 1 : randomInt(random, options)
      }
      const chosen = sectors[randomInt(random, sectors.length)] as number
      const choice = this.choices[chosen] as Choice
      const to = 1 + randomInt(random, choice.options - 1)
      const cut = 1 + randomInt(random, this.sectorBytes - 1)
      const how = TEAR_KINDS[randomInt(random, TEAR_KINDS.length)]!
      const sector = tear(choice.sectors[to - 1]!, choice.sectors[to]!, how, cut)
      this.torn = { choice: chosen, sector, how: `${how} at ${cut}` }
      visit(this)
    }
  }

  #planKill(disk: SimDisk): void {
    for (const [path, file] of disk.names.cached) this.#subject(file, file.cached, file.cachedBytes, path)
    for (const flight of disk.flights) {
      const { file, call } = flight
      const isWrite = call.kind === 'write' && file !== null && flight.bytes !== null
      if (isWrite && this.#subjectOf.has(file) && !isInformation(disk, file)) {
        const touched = file.preview(flight.bytes, call.position)
        const sizes = [file.cachedBytes]
        for (const { index } of touched)
          sizes.push(Math.max(file.cachedBytes, Math.min(call.position + call.bytes, (index + 1) * this.sectorBytes)))
        this.#choose(file, { kind: 'prefix', options: touched.length + 1, touched, sizes })
      }
      const changed = disk.names.get(call.path)
      if (changed === undefined) continue
      if (call.kind === 'unlink') this.#choose(changed, nameChoice([call.path, null], [null, null]))
      if (call.kind === 'rename') {
        const target = disk.names.get(flight.to) ?? null
        this.#choose(changed, nameChoice([call.path, flight.to], [null, target]))
      }
    }
  }

  #planPower(disk: SimDisk): void {
    const durableName = new Map<SimFile, string>()
    for (const [path, file] of disk.names.durable) durableName.set(file, path)
    const history = namesSince(disk, durableName)
    const files = new Set([...durableName.keys(), ...history.keys()])
    for (const file of files) {
      const sizes = new Set([file.durableBytes, file.cachedBytes])
      const sectors = new Map<number, Sector[]>()
      for (const [index, versions] of file.versions)
        sectors.set(index, [file.durableAt(index), ...versions.map((version) => version.sector)])
      for (const flight of disk.flights) {
        if (flight.file !== file || flight.bytes === null) continue
        for (const { index, sector } of file.preview(flight.bytes, flight.call.position)) {
          const options = sectors.get(index) ?? [file.durableAt(index)]
          if (options.every((other) => other.low !== sector.low || other.high !== sector.high)) options.push(sector)
          if (options.length > 1) sectors.set(index, options)
        }
        sizes.add(Math.max(file.cachedBytes, flight.call.position + flight.bytes.length))
      }
      if (isInformation(disk, file)) {
        this.#subject(file, file.cached, file.cachedBytes, durableName.get(file) ?? null)
        sizes.clear()
        sectors.clear()
      } else this.#subject(file, file.durable, file.durableBytes, durableName.get(file) ?? null)
      for (const [index, options] of sectors)
        this.#choose(file, { kind: 'sector', options: options.length, index, sectors: options })
      if (sizes.size > 1) this.#choose(file, { kind: 'size', options: sizes.size, sizes: [...sizes] })
      const names = history.get(file)
      if (names !== undefined) this.#choose(file, nameChoice(names.names, names.replaced))
    }
  }

  #subject(file: SimFile, sectors: readonly Sector[], bytes: number, name: string | null): void {
    this.#subjectOf.set(file, this.#subjects.length)
    this.#subjects.push({ file, sectors, bytes, name, low: 0, high: 0 })
  }

  #choose(file: SimFile, choice: Partial<Choice> & Pick<Choice, 'kind' | 'options'>): void {
    const subject = this.#subjectOf.get(file) as number
    const empty = { index: 0, sectors: [], touched: [], sizes: [], names: [], replaced: [] }
    this.choices.push({ ...empty, ...choice, subject })
  }

  #pickOf(at: number, choice: Choice): Sector {
    if (this.torn?.choice === at) return this.torn.sector
    return choice.sectors[this.picks[at] as number] as Sector
  }

  #bytesOf(at: number, subject: Subject): number {
    let { bytes } = subject
    for (let c = 0; c < this.choices.length; c++) {
      const choice = this.choices[c] as Choice
      if (choice.subject === at && choice.sizes.length > 0) bytes = Math.max(bytes, choice.sizes[this.picks[c]!]!)
    }
    return bytes
  }

  #contentOf(at: number, subject: Subject): { readonly sectors: readonly Sector[]; readonly bytes: number } {
    const bytes = this.#bytesOf(at, subject)
    let sectors: Sector[] | null = null
    const put = (index: number, sector: Sector) => {
      if (index * this.sectorBytes >= bytes) return
      sectors ??= [...subject.sectors]
      while (sectors.length <= index) sectors.push(zeroSector(this.sectorBytes))
      sectors[index] = sector
    }
    for (let c = 0; c < this.choices.length; c++) {
      const choice = this.choices[c] as Choice
      if (choice.subject !== at) continue
      if (choice.kind === 'sector') {
        const sector = this.#pickOf(c, choice)
        if (sector !== choice.sectors[0]) put(choice.index, sector)
      }
      if (choice.kind === 'prefix')
        for (let t = 0; t < (this.picks[c] as number); t++) put(choice.touched[t]!.index, choice.touched[t]!.sector)
    }
    return { sectors: sectors ?? subject.sectors, bytes }
  }

  /** Name of each subject under these picks; null: two files claim one name that no order of steps gives both. */
  #names(): (string | null)[] | null {
    const names = this.#subjects.map((subject) => subject.name)
    let isChanged = false
    for (let c = 0; c < this.choices.length; c++) {
      const choice = this.choices[c] as Choice
      if (choice.kind !== 'name') continue
      names[choice.subject] = choice.names[this.picks[c] as number] as string | null
      isChanged = true
    }
    if (!isChanged) return names
    if (!this.#settleClashes(names)) return null
    return this.#withoutOrphans(names)
  }

  #settleClashes(names: (string | null)[]): boolean {
    const owner = new Map<string, number>()
    for (let at = 0; at < names.length; at++) {
      const name = names[at]
      if (name === null || name === undefined) continue
      const other = owner.get(name)
      if (other === undefined) {
        owner.set(name, at)
        continue
      }
      if (this.#replaces(at, other)) names[other] = null
      else if (this.#replaces(other, at)) names[at] = null
      else return false
      owner.set(name, names[at] === null ? other : at)
    }
    return true
  }

  #replaces(at: number, other: number): boolean {
    const file = (this.#subjects[other] as Subject).file
    for (let c = 0; c < this.choices.length; c++) {
      const choice = this.choices[c] as Choice
      if (choice.subject === at && choice.kind === 'name' && choice.replaced[this.picks[c]!] === file) return true
    }
    return false
  }

  #withoutOrphans(names: (string | null)[]): (string | null)[] {
    this.#directories.clear()
    for (let at = 0; at < names.length; at++) {
      const name = names[at]
      if (typeof name === 'string' && this.#subjects[at]?.file.kind === 'directory') this.#directories.add(name)
    }
    return names.map((name) => {
      for (let up = name; up !== null && up !== '/'; up = parentOf(up))
        if (!this.#directories.has(parentOf(up))) return null
      return name
    })
  }
}

function nameChoice(
  names: readonly (string | null)[],
  replaced: readonly (SimFile | null)[],
): Pick<Choice, 'kind' | 'options' | 'names' | 'replaced'> {
  return { kind: 'name', options: names.length, names, replaced }
}

interface NameHistory {
  readonly names: (string | null)[]
  readonly replaced: (SimFile | null)[]
}

/** LOCK holds text for people only: states that differ in it alone would be counted for nothing. */
function isInformation(disk: SimDisk, file: SimFile): boolean {
  for (const [path, each] of disk.names.cached) if (each === file) return path.endsWith('/LOCK')
  return false
}

/** Every name a file had since its directory was synced, calls on their way included. */
function namesSince(disk: SimDisk, durable: ReadonlyMap<SimFile, string>): Map<SimFile, NameHistory> {
  const history = new Map<SimFile, NameHistory>()
  const add = (file: SimFile, name: string | null, replaced: SimFile | null) => {
    let known = history.get(file)
    if (known === undefined) {
      known = { names: [durable.get(file) ?? null], replaced: [null] }
      history.set(file, known)
    }
    known.names.push(name)
    known.replaced.push(replaced)
  }
  for (const change of disk.names.changes) add(change.file, change.name, change.replaced)
  for (const { call, to } of disk.flights) {
    const file = disk.names.get(call.path)
    if (file === undefined) continue
    if (call.kind === 'unlink') add(file, null, null)
    if (call.kind === 'rename') add(file, to, disk.names.get(to) ?? null)
  }
  return history
}

function hashFile(subject: Subject): void {
  for (let index = 0; index < subject.sectors.length; index++) {
    const sector = subject.sectors[index] as Sector
    subject.low = (subject.low + share(sector.low, index)) | 0
    subject.high = (subject.high + share(sector.high, index)) | 0
  }
}

/** What a sector adds to the hash of its file; zeros add nothing, whether they were written or never there. */
function share(hash: number, index: number): number {
  return hash === 0 ? 0 : mix(hash, index)
}

const texts = new Map<string, number>()

function hashText(text: string): number {
  let hash = texts.get(text)
  if (hash === undefined) {
    hash = 0
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    texts.set(text, hash)
  }
  return hash
}
