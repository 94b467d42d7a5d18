/**
 * A process that owns a log on the real disk: `scene.ts <scene> <dir> [options as JSON]`. It tells what happens as lines
 * of JSON on its standard output, written at once, so that what it said before it was killed has been said.
 * Scenes: see SCENES. An error that ends a scene is a line {"error": ...} and exit code 0: it was expected or not, the
 * test decides.
 */

import { pbkdf2 } from 'node:crypto'
import fs from 'node:fs'
import { createInterface } from 'node:readline'
import type { MQError } from '../../../../lib/errors/index.js'
import { silentLogger, systemClock } from '../../../../lib/util/index.js'
import { type WalEvents, type WalOptions, WriteAheadLog, walParts } from '../../../../lib/wal/index.js'

const [scene = '', dir = '', json = '{}'] = process.argv.slice(2)
const KIB = 1024

const options: WalOptions = {
  dir,
  owner: 'queue',
  durability: 'immediate',
  maxBytes: 16 * 64 * KIB,
  segmentBytes: 64 * KIB,
  syncIntervalMs: 10,
  groupMaxBytes: 16 * KIB,
  groupMaxWaitMs: 0,
  pendingMaxBytes: 128 * KIB,
  unsyncedMaxBytes: 128 * KIB,
  minFreeBytes: 0,
  ackFlushMs: 5,
  onCorruption: 'stop',
  recoveryIndexMaxBytes: 64 * KIB * KIB,
  spareSegments: 2,
  allowUnsafeDir: false,
  scrub: false,
  ...(JSON.parse(json) as Partial<WalOptions>),
}

function tell(line: Record<string, unknown>): void {
  fs.writeSync(1, `${JSON.stringify(line, (_key, value) => (typeof value === 'bigint' ? String(value) : value))}\n`)
}

const events: WalEvents = {
  degraded: (error) => tell({ event: 'degraded', message: error.message }),
  failed: (error) => tell({ event: 'failed', message: error.message }),
  slowSync: (ms) => tell({ event: 'slowSync', ms }),
  full: () => tell({ event: 'full' }),
  room: () => tell({ event: 'room' }),
  progress: () => {},
}

async function open(): Promise<WriteAheadLog> {
  const from = performance.now()
  try {
    const log = await WriteAheadLog.open(options, walParts(systemClock, silentLogger), events)
    const { incarnation, incarnationId, walId, recovered } = log
    tell({ opened: process.pid, ms: performance.now() - from, incarnation, incarnationId, walId, recovered })
    return log
  } catch (error) {
    const { code, message, context } = error as MQError
    tell({
      error: { code, message, reason: context?.reason, errno: context?.errno, path: context?.path },
      ms: performance.now() - from,
      context,
    })
    process.exit(0)
  }
}

/** Item n of every scene. */
function item(n: number, bytes: number): Uint8Array {
  return Buffer.from(`item ${n} `.padEnd(bytes, '.'))
}

/** One item after another, each accepted before the next; tells every position. */
async function appendOneByOne(log: WriteAheadLog, count: number, bytes = 200): Promise<void> {
  const stream = log.streamOf('', '', 0)
  for (let n = 0; n < count; n++) {
    if (!log.admits(bytes)) {
      tell({ isFull: true })
      return
    }
    try {
      const position = log.appendItem(stream, item(log.stream(stream)?.nextPosition ?? n, bytes), bytes)
      const { lastLsn } = log
      log.flush()
      await log.accepted(lastLsn)
      tell({ accepted: position })
    } catch (error) {
      tell({ refused: (error as MQError).message, reason: (error as MQError).context.reason })
      return
    }
  }
}

/** Settles everything but the last `keep` records. */
async function settleAllBut(log: WriteAheadLog, keep: number): Promise<void> {
  const facts = log.stream(log.streamOf('', '', 0))
  if (facts === undefined) return
  const to = facts.nextPosition - 1 - keep
  if (to >= facts.settledThrough) log.settle(facts.id, facts.settledThrough, to, 0, -1)
  log.flush()
  await log.sync()
  tell({ settledThrough: facts.settledThrough })
}

async function close(log: WriteAheadLog, timeoutMs = 5_000): Promise<void> {
  const from = performance.now()
  try {
    await log.close({ timeoutMs })
    tell({ closed: true, ms: performance.now() - from })
  } catch (error) {
    tell({ closed: false, message: (error as Error).message, ms: performance.now() - from })
  }
}

/** Obeys words on the standard input: append N | settle | close | state. */
async function obey(log: WriteAheadLog): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, count = '1'] = line.split(' ')
    if (word === 'append') await appendOneByOne(log, Number(count))
    else if (word === 'settle') await settleAllBut(log, 0)
    else if (word === 'state') tell({ state: log.state })
    else if (word === 'close') {
      await close(log)
      return
    }
  }
}

const SCENES: Record<string, () => Promise<void>> = {
  async open() {
    await close(await open())
  },
  async stay() {
    await obey(await open())
  },
  async append() {
    const log = await open()
    await appendOneByOne(log, 60)
    tell({ state: log.state })
    await close(log)
  },
  async read() {
    const log = await open()
    for (const entry of log.entriesOf(log.streamOf('', '', 0))) {
      const body = await log.read(entry.lsn)
      tell({
        entry: entry.firstPosition,
        count: entry.count,
        crc: Buffer.from(body)
          .toString('latin1')
          .match(/item \d+/g),
      })
    }
    await close(log)
  },
  /** Fills the disk, then gives everything back, then writes again. */
  async fill() {
    const log = await open()
    await appendOneByOne(log, 100_000, 4_000)
    tell({ state: log.state })
    await settleAllBut(log, 0)
    for (let turn = 0; turn < 200 && !log.admits(4_000); turn++) await new Promise((resolve) => setTimeout(resolve, 10))
    await appendOneByOne(log, 3, 4_000)
    tell({ state: log.state })
    await close(log)
  },
  /** Opens on a full disk: settles what is there. */
  async drain() {
    const log = await open()
    tell({ admits: log.admits(4_000), state: log.state })
    await settleAllBut(log, 0)
    tell({ unsettled: log.measures().unsettledRecords })
    await close(log)
  },
  /** Uses up the descriptors of the process, then opens. */
  async descriptors() {
    try {
      for (;;) fs.openSync('/dev/null', 'r')
    } catch {
      // EMFILE: as many as there are.
    }
    await close(await open())
  },
  async clogged() {
    const log = await open()
    for (let job = 0; job < 64; job++) pbkdf2('password', 'salt', 20_000, 64, 'sha512', () => {})
    await appendOneByOne(log, 20)
    await close(log)
  },
  /** A sync that does not come back; closing must, and the lock must not be given up while a write may still land. */
  async hang() {
    const log = await open()
    const appended = appendOneByOne(log, 60)
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    await close(log, 500)
    await appended
    await new Promise(() => {
      setInterval(() => {}, 1_000)
    })
  },
  async 'out-of-memory'() {
    const log = await open()
    await appendOneByOne(log, 20)
    const kept: unknown[] = []
    for (;;) kept.push(new Array(10_000).fill(kept.length))
  },
}

const task = SCENES[scene]
if (task === undefined) throw new Error(`no scene ${scene}: ${Object.keys(SCENES)}`)
await task()
