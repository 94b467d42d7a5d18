/** wal.md 2.8, 5: damaged ranges are set aside before the log goes on without them. */
import { describe, expect, it } from 'vitest'
import { Disk } from '../../../lib/wal/open/disk.js'
import { QUARANTINE_MAX_BYTES, quarantine } from '../../../lib/wal/open/quarantine.js'
import type { Finding } from '../../../lib/wal/read/survey.js'
import { failNth, fault, SimDisk } from '../../support/wal-sim/index.js'

const FACTS = { walId: '00'.repeat(16), foundAtMs: 5, host: 'here' }
const FILE = '0000000000000001.wal'

function finding(fromByte: number, toByte: number): Finding {
  const ranges = [{ stream: 0, from: 3, to: 4 }]
  return {
    kind: 'corrupt',
    segment: 1,
    file: FILE,
    fromByte,
    toByte,
    fromLsn: 7,
    toLsn: 7,
    ranges,
    text: 'body is bad',
  }
}

function world(): SimDisk {
  const disk = new SimDisk({ isAutomatic: true })
  disk.seed('/wal')
  disk.seed(`/wal/${FILE}`, 'file').write(
    Uint8Array.from({ length: 4096 }, (_, at) => at % 251),
    0,
  )
  return disk
}

async function read(disk: SimDisk, name: string): Promise<Buffer> {
  const bytes = await new Disk(disk).readFile(`/wal/quarantine/${name}`, 8192)
  if (bytes === null) throw new Error(`${name} is missing: ${disk.names.children('/wal/quarantine')}`)
  return Buffer.from(bytes)
}

describe('quarantine', () => {
  it('2.8: keeps a copy of each range and one report, and changes no segment', async () => {
    const disk = world()
    await quarantine(new Disk(disk), '/wal', [finding(100, 130), finding(200, 200)], FACTS)
    expect(disk.names.children('/wal/quarantine').sort()).toEqual([
      `${FILE}-100-130.bin`,
      `${FILE}-100-130.json`,
      `${FILE}-200-200.json`,
    ])
    expect([...(await read(disk, `${FILE}-100-130.bin`))]).toEqual(
      Array.from({ length: 30 }, (_, at) => (100 + at) % 251),
    )
    expect(JSON.parse((await read(disk, `${FILE}-100-130.json`)).toString())).toMatchObject({
      ...FACTS,
      file: FILE,
      fromLsn: 7,
      ranges: [{ stream: 0, from: 3, to: 4 }],
      isCopied: true,
      unreadableBytes: 0,
    })
    expect(disk.trace.filter(({ kind, path }) => kind === 'write' && !path.includes('quarantine'))).toEqual([])
    expect(disk.open_.size).toBe(0)
  })

  it('4.3: done again it leaves the same files; what a crash left of the first time goes', async () => {
    const disk = world()
    await quarantine(new Disk(disk), '/wal', [finding(100, 130)], FACTS)
    disk.seed('/wal/quarantine/x.bin.tmp', 'file')
    await quarantine(new Disk(disk), '/wal', [finding(100, 130)], FACTS)
    expect(disk.names.children('/wal/quarantine')).toHaveLength(2)
  })

  it('2.8: bytes that cannot be read are zeros in the copy and counted in the report', async () => {
    const disk = world()
    disk.inject = ({ kind, path }) => (kind === 'read' && path.endsWith(FILE) ? { code: 'EIO' } : null)
    await quarantine(new Disk(disk), '/wal', [finding(100, 130)], FACTS)
    expect((await read(disk, `${FILE}-100-130.bin`)).equals(Buffer.alloc(30))).toBe(true)
    expect(JSON.parse((await read(disk, `${FILE}-100-130.json`)).toString())).toMatchObject({ unreadableBytes: 30 })
  })

  it('5: beyond 64 MiB only the report is kept', async () => {
    const disk = world()
    disk.seed('/wal/quarantine')
    const old = disk.seed('/wal/quarantine/old.bin', 'file')
    old.write(Uint8Array.of(1), QUARANTINE_MAX_BYTES - 30)
    await quarantine(new Disk(disk), '/wal', [finding(100, 129), finding(200, 230)], FACTS)
    const reports = await Promise.all(
      [`${FILE}-100-129`, `${FILE}-200-230`].map(async (name) =>
        JSON.parse((await read(disk, `${name}.json`)).toString()),
      ),
    )
    expect(reports.map(({ isCopied }) => isCopied)).toEqual([true, false])
  })

  it('2.8: a disk that does not take the copy stops the opening', async () => {
    const disk = world()
    disk.inject = failNth('write', 1, { code: 'ENOSPC' })
    await expect(quarantine(new Disk(disk), '/wal', [finding(100, 130)], FACTS)).rejects.toMatchObject({
      context: { reason: 'WAL_FULL' },
      cause: fault('ENOSPC', 'write', `/wal/quarantine/${FILE}-100-130.bin.tmp`),
    })
    expect(disk.open_.size).toBe(0)
  })
})
