/**
 * `wal recover --export`: the unsettled records as JSON lines. Nothing is sent, nothing is settled.
 * Why a file is made exclusively and readable for its owner only: these are customers' records, and an export from
 * before must not be lost to a typing mistake.
 */
import { open } from 'node:fs/promises'
import type { Entry, StreamFacts, Wal } from '../../../wal/index.js'
import { count } from '../../output.js'
import type { Run } from '../../run.js'
import { UsageError } from '../../usage.js'
import { itemsOf, recordsOf } from './records.js'

type Write = (lines: string) => Promise<unknown>

/** Gives the number of records. `-` is stdout. */
export async function exportRecords(run: Run, wal: Wal, owner: string, streams: StreamFacts[], file: string) {
  if (file === '-') return writeAll(run, wal, owner, streams, (lines) => run.io.stdout.write(lines))
  const handle = await open(file, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--export: ${file} cannot be made (${error.code ?? 'unknown reason'})`)
  })
  try {
    const records = await writeAll(run, wal, owner, streams, (lines) => handle.appendFile(lines))
    await handle.datasync()
    return records
  } finally {
    await handle.close()
  }
}

async function writeAll(run: Run, wal: Wal, owner: string, streams: StreamFacts[], write: Write): Promise<number> {
  let done = 0
  const total = streams.reduce((sum, { id }) => sum + wal.entriesOf(id).length, 0)
  run.out.startProgress(() => `export: ${count(done)} of ${count(total)} batches`)
  let records = 0
  for (const stream of streams) {
    for (const entry of [...wal.entriesOf(stream.id)]) {
      run.io.signal.throwIfAborted()
      records += await writeEntry(wal, owner, stream, entry, write)
      done++
    }
  }
  run.out.endProgress()
  return records
}

async function writeEntry(wal: Wal, owner: string, stream: StreamFacts, entry: Entry, write: Write): Promise<number> {
  const body = await wal.read(entry.lsn)
  const all = owner === 'producer' ? await recordsOf(stream, entry, body) : itemsOf(stream, entry, body)
  const open = wal.unsettledOf?.(entry.lsn)
  const records = all.filter(({ position }) => open?.some(([from, to]) => position >= from && position <= to) ?? true)
  const incarnationId = wal.incarnationIdOf?.(entry.incarnation)
  await write(records.map((record) => `${JSON.stringify({ ...record, incarnationId })}\n`).join(''))
  return records.length
}
