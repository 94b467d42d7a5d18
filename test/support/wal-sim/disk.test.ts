import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../lib/util/index.js'
import { CrashStates, failCall, failNth, SimDisk, sectorOf, TEAR_KINDS, tear, zeroSector } from './index.js'

/** Ends everything that is on its way. */
function land(disk: SimDisk): void {
  while (disk.flights.length > 0) disk.complete()
}

function fileOn(disk: SimDisk, path: string): number {
  let fd = -1
  disk.open(path, 'create', (error, value) => {
    if (error !== null) throw error
    fd = value!
  })
  land(disk)
  return fd
}

const text = (char: string, bytes = 512) => new Uint8Array(bytes).fill(char.charCodeAt(0))
const ignore = () => {}

/** Content of the first byte of each sector of a file, in every state a crash can leave. */
function statesOf(disk: SimDisk, path: string, kind: 'kill' | 'power'): Set<string> {
  const found = new Set<string>()
  const states = new CrashStates(disk, kind)
  states.forEach(4096, seededRandom(1), () => {
    if (Number.isNaN(states.hash()) || states.torn !== null) return
    const file = states.image().files.get(path)
    const first = (at: number) => String.fromCharCode(file?.sectors[at]?.bytes[0] || 46)
    const count = file === undefined ? 0 : Math.ceil(file.bytes / 512)
    const content = Array.from({ length: count }, (_, at) => first(at)).join('')
    found.add(file === undefined ? 'absent' : `${file.bytes}:${content}`)
  })
  return found
}

function diskWith(path: string, bytes: number): { disk: SimDisk; fd: number } {
  const disk = new SimDisk()
  disk.seed('/d')
  const fd = fileOn(disk, path)
  disk.write(fd, new Uint8Array(bytes), 0, ignore)
  land(disk)
  disk.fdatasync(fd, ignore)
  land(disk)
  disk.fsyncDir('/d', ignore)
  land(disk)
  return { disk, fd }
}

describe('the simulated disk (wal.md 6.1)', () => {
  it('answers after the method returned, once, and reads back what was written', () => {
    const { disk, fd } = diskWith('/d/a', 1024)
    let written = -1
    disk.write(fd, text('x', 700), 100, (_error, value) => {
      written = value!
    })
    expect(written).toBe(-1)
    land(disk)
    expect(written).toBe(700)
    const into = new Uint8Array(1024)
    let read = -1
    disk.read(fd, into, 50, (_error, value) => {
      read = value!
    })
    land(disk)
    expect(read).toBe(974)
    expect([into[49], into[50], into[749], into[750]]).toEqual([0, 120, 120, 0])
  })

  it('loses any subset of unsynced sectors, and none that was synced before', () => {
    const { disk, fd } = diskWith('/d/a', 1024)
    disk.write(fd, text('a', 1024), 0, ignore)
    land(disk)
    expect(statesOf(disk, '/d/a', 'power')).toEqual(new Set(['1024:..', '1024:a.', '1024:.a', '1024:aa']))
    expect(statesOf(disk, '/d/a', 'kill')).toEqual(new Set(['1024:aa']))
    disk.fdatasync(fd, ignore)
    land(disk)
    expect(statesOf(disk, '/d/a', 'power')).toEqual(new Set(['1024:aa']))
  })

  it('keeps every content a sector had since its sync, and of a write on its way each part', () => {
    const { disk, fd } = diskWith('/d/a', 1024)
    disk.write(fd, text('a'), 0, ignore)
    land(disk)
    disk.write(fd, text('b', 1024), 0, ignore)
    expect(statesOf(disk, '/d/a', 'kill')).toEqual(new Set(['1024:a.', '1024:b.', '1024:bb']))
    expect(statesOf(disk, '/d/a', 'power')).toEqual(
      new Set(['1024:..', '1024:a.', '1024:b.', '1024:.b', '1024:ab', '1024:bb']),
    )
  })

  it('does not count what was written while the sync was under way', () => {
    const { disk, fd } = diskWith('/d/a', 512)
    disk.write(fd, text('a'), 0, ignore)
    land(disk)
    disk.fdatasync(fd, ignore)
    disk.write(fd, text('b'), 0, ignore)
    disk.complete(1)
    disk.complete(0)
    expect(statesOf(disk, '/d/a', 'power')).toEqual(new Set(['512:a', '512:b']))
  })

  it('drops the pages of a failed sync, while the next one succeeds', () => {
    const { disk, fd } = diskWith('/d/a', 512)
    disk.write(fd, text('a'), 0, ignore)
    land(disk)
    disk.inject = failNth('fdatasync', 1, { code: 'EIO', dropsPages: true })
    const codes: (string | undefined)[] = []
    disk.fdatasync(fd, (error) => codes.push(error?.code))
    disk.fdatasync(fd, (error) => codes.push(error?.code))
    land(disk)
    expect(codes).toEqual(['EIO', undefined])
    expect(statesOf(disk, '/d/a', 'power')).toEqual(new Set(['512:.']))
    expect(statesOf(disk, '/d/a', 'kill')).toEqual(new Set(['512:a']))
  })

  it('loses names that no fsyncDir covered, and brings an unlinked file back', () => {
    const disk = new SimDisk()
    disk.seed('/d')
    const fd = fileOn(disk, '/d/a.tmp')
    disk.write(fd, text('a'), 0, ignore)
    land(disk)
    disk.fdatasync(fd, ignore)
    land(disk)
    disk.rename('/d/a.tmp', '/d/a', ignore)
    land(disk)
    expect(statesOf(disk, '/d/a', 'power').has('absent')).toBe(true)
    expect(statesOf(disk, '/d/a.tmp', 'power').has('absent')).toBe(true)
    disk.fsyncDir('/d', ignore)
    land(disk)
    expect([...statesOf(disk, '/d/a', 'power')].includes('absent')).toBe(false)
    disk.unlink('/d/a', ignore)
    land(disk)
    expect(statesOf(disk, '/d/a', 'power').size).toBe(2)
    expect(statesOf(disk, '/d/a', 'kill')).toEqual(new Set(['absent']))
  })

  it('loses everything below a directory whose own name is lost', () => {
    const disk = new SimDisk()
    disk.mkdir('/p/d', ignore)
    land(disk)
    fileOn(disk, '/p/d/a')
    disk.fsyncDir('/p/d', ignore)
    land(disk)
    expect(statesOf(disk, '/p/d/a', 'power')).toEqual(new Set(['absent', '0:']))
    disk.fsyncDir('/', ignore)
    disk.fsyncDir('/p', ignore)
    land(disk)
    expect(statesOf(disk, '/p/d/a', 'power')).toEqual(new Set(['0:']))
  })

  it('does not give one name to two files, unless a rename replaced one of them', () => {
    const { disk } = diskWith('/d/spare', 512)
    disk.rename('/d/spare', '/d/2', ignore)
    land(disk)
    const fd = fileOn(disk, '/d/spare')
    disk.write(fd, text('n'), 0, ignore)
    land(disk)
    const states = new CrashStates(disk, 'power')
    let impossible = 0
    states.forEach(4096, seededRandom(1), () => {
      if (Number.isNaN(states.hash())) impossible++
    })
    expect(impossible).toBeGreaterThan(0)
    disk.rename('/d/spare', '/d/2', ignore)
    land(disk)
    expect(statesOf(disk, '/d/2', 'power').has('512:n')).toBe(true)
  })

  it('hashes states by content: equal ones collide, different ones do not', () => {
    const { disk, fd } = diskWith('/d/a', 4096)
    for (let at = 0; at < 8; at++) disk.write(fd, text(String.fromCharCode(97 + at)), at * 512, ignore)
    land(disk)
    const byHash = new Map<number, string>()
    const contents = new Set<string>()
    const states = new CrashStates(disk, 'power')
    states.forEach(4096, seededRandom(7), () => {
      const file = states.image().files.get('/d/a')!
      const content = Buffer.concat(file.sectors.map((it) => it.bytes)).toString('latin1')
      const known = byHash.get(states.hash())
      expect(known === undefined || known === content).toBe(true)
      byHash.set(states.hash(), content)
      contents.add(content)
    })
    expect(contents.size).toBeGreaterThanOrEqual(256)
    expect(byHash.size).toBe(contents.size)
  })

  it('gives the same hash to a state that is reached again from its own image', () => {
    const { disk, fd } = diskWith('/d/a', 2048)
    disk.write(fd, text('a', 1500), 0, ignore)
    land(disk)
    const states = new CrashStates(disk, 'power')
    states.forEach(64, seededRandom(3), () => {
      const hash = states.hash()
      const again = SimDisk.fromImage(states.image())
      expect(new CrashStates(again, 'power').hash()).toBe(hash)
      expect(new CrashStates(again, 'kill').hash()).toBe(hash)
    })
  })

  it('leaves an image alone when a disk that started from it writes', () => {
    const { disk } = diskWith('/d/a', 512)
    const image = disk.image()
    const second = SimDisk.fromImage(image)
    second.open('/d/a', 'write', (_error, fd) => second.write(fd!, text('z'), 0, ignore))
    land(second)
    expect(image.files.get('/d/a')?.sectors[0]).toBe(zeroSector(512))
    expect(second.image().files.get('/d/a')?.sectors[0]?.bytes[0]).toBe(122)
  })

  it('writes short, runs full, fails once or for ever, never answers, tells of changed bytes', () => {
    const { disk, fd } = diskWith('/d/a', 512)
    const answers: unknown[] = []
    const note = (error: NodeJS.ErrnoException | null, value?: number) => answers.push(error?.code ?? value)
    disk.inject = failCall(disk.calls, { written: 100 }, false)
    disk.write(fd, text('a'), 0, note)
    land(disk)
    disk.inject = failCall(disk.calls, { code: 'EIO' }, true)
    disk.write(fd, text('a'), 0, note)
    disk.write(fd, text('a'), 0, note)
    land(disk)
    disk.inject = null
    disk.capacityBytes = 612
    disk.write(fd, text('b'), 512, note)
    disk.write(fd, text('b'), 612, note)
    land(disk)
    expect(answers).toEqual([100, 'EIO', 'EIO', 100, 'ENOSPC'])
    disk.inject = failCall(disk.calls, { isHung: true }, false)
    disk.isAutomatic = true
    disk.fdatasync(fd, ignore)
    expect(disk.flights.length).toBe(1)
    disk.isAutomatic = false
    const borrowed = text('c')
    disk.write(fd, borrowed, 0, ignore)
    borrowed[0] = 1
    land(disk)
    expect(disk.violations).toHaveLength(1)
  })

  it('locks by file, whoever asks, until the release', () => {
    const disk = new SimDisk()
    disk.seed('/d')
    const answers: string[] = []
    let release = () => {}
    disk.lock('/d/LOCK', 'flock', (_error, value) => {
      release = value!
    })
    disk.lock('/d/LOCK', 'flock', (error) => answers.push(error?.code ?? 'held'))
    land(disk)
    release()
    disk.lock('/d/LOCK', 'flock', (error) => answers.push(error?.code ?? 'held'))
    land(disk)
    expect(answers).toEqual(['EWOULDBLOCK', 'held'])
  })

  it('tears a sector at a byte: old, zero or garbage behind it, or the old part before it', () => {
    const old = sectorOf(text('o'))
    const next = sectorOf(text('n'))
    const first = TEAR_KINDS.map((kind) => tear(old, next, kind, 100).bytes[99])
    const behind = TEAR_KINDS.map((kind) => tear(old, next, kind, 100).bytes[100])
    expect(first).toEqual([110, 111, 110, 110])
    expect(behind.slice(0, 3)).toEqual([111, 110, 0])
    expect(behind[3]).not.toBe(111)
  })
})
