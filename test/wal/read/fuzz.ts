/**
 * Suite D of wal.md 6.2: mutated directories in memory. Damage (bits, bytes, ranges, frames removed, copied, swapped, cut
 * files) must never give a record that was not written, nor lose a promised one in silence; forgery (frames sealed
 * again with other fields) must never crash, hang or break the counts. One seed gives one history.
 */
import { MQError } from '../../../lib/errors/index.js'
import { FRAME_HEADER_BYTES, FrameType } from '../../../lib/wal/format/constants.js'
import { saltCrcOf, sealFrame } from '../../../lib/wal/format/frame.js'
import { type Survey, survey } from '../../../lib/wal/read/survey.js'
import { BOOT, DIR, LogBuilder, type Written } from '../support/build-log.js'
import { lieOf, type Truth, truthOf } from '../support/survey-oracle.js'

const SEGMENT_BYTES = 8192
const OPTIONS = [BOOT, 'boot-2'].flatMap((bootId) =>
  [true, false].map((verifyBodies) => ({ bootId, verifyBodies, indexMaxBytes: 64 << 20 })),
)

export interface FuzzResult {
  readonly mutated: number
  readonly failures: readonly string[]
}

interface Subject {
  readonly log: LogBuilder
  readonly truth: Truth
  /** Nothing before this place can be damaged without a later frame attesting it. */
  readonly promisedLsn: number
  readonly lastGroup: { readonly segment: number; readonly at: number }
}

type Random = (below: number) => number

/** xorshift32: fast, and the same everywhere. */
function randomOf(seed: number): Random {
  let state = seed | 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Mutates `count` segments. Stops at 20 failures. */
export async function fuzz(count: number, seed: number): Promise<FuzzResult> {
  const random = randomOf(seed)
  const subjects = makeSubjects()
  const failures: string[] = []
  let mutated = 0
  for (; mutated < count && failures.length < 20; mutated++) {
    const subject = subjects[random(subjects.length)] as Subject
    const problem = await tryOne(subject, random)
    if (problem !== null) failures.push(`seed ${seed}, mutation ${mutated}: ${problem}`)
  }
  return { mutated, failures }
}

function makeSubjects(): Subject[] {
  const subjects: Subject[] = []
  for (const durability of ['os', 'immediate'] as const) {
    for (const isClosed of [false, true]) {
      const log = LogBuilder.opened(durability, { segmentBytes: SEGMENT_BYTES }).stream(0).stream(1).identity(7n)
      for (let index = 0; index < 8; index++) log.batch(index % 2, 1 + (index % 3), 40 + index * 8, 7n)
      log.ack(0, 0, 1).pad().sync().batch(0, 1, 30).pad().sync().roll(2, 1)
      for (let index = 0; index < 5; index++) log.batch(index % 2, 2, 50)
      log.bind(log.lsn, 9n, 0).pad().sync()
      const promisedLsn = log.lsn
      const lastGroup = { segment: 2, at: log.at }
      log.batch(0, 1, 40).batch(1, 1, 40)
      if (isClosed) log.close()
      subjects.push({ log, truth: truthOf(log), promisedLsn, lastGroup })
    }
  }
  return subjects
}

async function tryOne(subject: Subject, random: Random): Promise<string | null> {
  const { log, truth } = subject
  const segment = 1 + random(2)
  const path = log.path(segment)
  const file = log.bytes(segment)
  const before = file.slice()
  const mutation = MUTATIONS[random(MUTATIONS.length)] as Mutation
  const touched = mutation.change(log, segment, file, random)
  if (touched.cut !== undefined) log.fs.files.set(path, file.subarray(0, touched.cut))
  const options = OPTIONS[random(OPTIONS.length)] as (typeof OPTIONS)[number]
  const { lastGroup, promisedLsn } = subject
  const isBefore = segment < lastGroup.segment || touched.to <= lastGroup.at
  const place = `${mutation.name} ${touched.from}..${touched.to} of segment ${segment}`
  try {
    const found = await survey(log.fs, DIR, options)
    const lie = mutation.isForged ? sumOf(found) : lieOf(found, truth, log.fs, isBefore ? promisedLsn : 0)
    return lie === null ? null : `${place}: ${lie}`
  } catch (error) {
    if (mutation.isForged && error instanceof MQError) return null
    return `${place}: ${(error as Error).stack}`
  } finally {
    file.set(before)
    log.fs.files.set(path, file)
  }
}

function sumOf(found: Survey): string | null {
  let unsettled = 0
  for (const id of found.tables.streams.keys()) {
    for (const entry of found.tables.entriesOf(id)) unsettled += entry.unsettled
  }
  return unsettled === found.tables.unsettledRecords ? null : 'the counts do not add up'
}

interface Touched {
  readonly from: number
  readonly to: number
  /** New length of the file. */
  readonly cut?: number
}

interface Mutation {
  readonly name: string
  readonly isForged: boolean
  readonly change: (log: LogBuilder, segment: number, file: Uint8Array, random: Random) => Touched
}

const damage = (name: string, change: Mutation['change']): Mutation => ({ name, isForged: false, change })

/** Places worth hitting: anywhere in use. */
function someByte(log: LogBuilder, segment: number, random: Random): number {
  const end = log.written.reduce((last, frame) => (frame.segment === segment ? frame.end : last), 4096)
  return random(8) === 0 ? random(256) + (random(2) === 0 ? 0 : 2048) : 4096 + random(end - 4096)
}

function someFrame(log: LogBuilder, segment: number, random: Random): Written {
  const first = log.written.findIndex((frame) => frame.segment === segment)
  let count = 0
  while (log.written[first + count]?.segment === segment) count++
  return log.written[first + random(count)] as Written
}

const MUTATIONS: readonly Mutation[] = [
  damage('bit', (log, segment, file, random) => {
    const at = someByte(log, segment, random)
    file[at] = (file[at] as number) ^ (1 << random(8))
    return { from: at, to: at + 1 }
  }),
  damage('byte', (log, segment, file, random) => {
    const at = someByte(log, segment, random)
    file[at] = random(256)
    return { from: at, to: at + 1 }
  }),
  damage('zeros', (log, segment, file, random) => {
    const from = someByte(log, segment, random)
    const to = Math.min(file.length, from + 1 + random(700))
    file.fill(0, from, to)
    return { from, to }
  }),
  damage('garbage', (log, segment, file, random) => {
    const from = someByte(log, segment, random)
    const to = Math.min(file.length, from + 1 + random(300))
    for (let at = from; at < to; at++) file[at] = random(256)
    return { from, to }
  }),
  damage('sector', (log, segment, file, random) => {
    const from = Math.floor(someByte(log, segment, random) / 512) * 512
    file.fill(random(2) === 0 ? 0 : random(256), from, from + 512)
    return { from, to: from + 512 }
  }),
  damage('removed', (log, segment, file, random) => {
    const { at, end } = someFrame(log, segment, random)
    file.copyWithin(at, end)
    return { from: at, to: file.length }
  }),
  damage('copied', (log, segment, file, random) => {
    const from = someFrame(log, segment, random)
    const to = someFrame(log, segment, random)
    file.copyWithin(to.at, from.at, from.end)
    return { from: to.at, to: Math.min(file.length, to.at + from.end - from.at) }
  }),
  damage('foreign', (log, segment, file, random) => {
    const from = someFrame(log, 3 - segment, random)
    const to = someFrame(log, segment, random)
    const bytes = log.bytes(3 - segment).subarray(from.at, Math.min(from.end, from.at + file.length - to.at))
    file.set(bytes, to.at)
    return { from: to.at, to: to.at + bytes.length }
  }),
  damage('shifted', (log, segment, file, random) => {
    const { at } = someFrame(log, segment, random)
    file.copyWithin(at + 8, at)
    return { from: at, to: file.length }
  }),
  damage('cut', (log, segment, file, random) => {
    const cut = someByte(log, segment, random)
    return { from: cut, to: file.length, cut }
  }),
  { name: 'forged', isForged: true, change: forge },
  { name: 'forged body', isForged: true, change: forgeBody },
]

const NUMBERS = [0, 1, 2, 5, 31, 32, 33, 255, 4096, 65_535, 0x7fff_ffff, 0xffff_ffff, 2 ** 40, 2 ** 53 - 1]

/** The header of a frame with another value in one field, sealed as if it were right. */
function forge(log: LogBuilder, segment: number, file: Uint8Array, random: Random): Touched {
  const { at, end } = someFrame(log, segment, random)
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const value = NUMBERS[random(NUMBERS.length)] as number
  const field = random(6)
  const room = file.length - at - FRAME_HEADER_BYTES
  const bodyLength = field === 0 ? Math.min(value, room) : view.getUint32(at + 8, true)
  const type = field === 1 ? 1 + random(255) : (file[at + 12] as number)
  const flags = field === 2 ? random(256) : (file[at + 13] as number)
  const lsn = field === 3 ? value : view.getUint32(at + 16, true)
  const lag = field === 4 ? Math.min(value, 0xffff_ffff) : view.getUint32(at + 24, true)
  const incarnation = field === 5 ? Math.min(value, 0xffff_ffff) : view.getUint32(at + 28, true)
  const saltCrc = saltCrcOf(log.saltOf(segment))
  return {
    from: at,
    to: Math.max(end, sealFrame(file, view, at, bodyLength, type, flags, lsn, lag, incarnation, saltCrc)),
  }
}

/** A frame whose body says something else, sealed as if it were right. */
function forgeBody(log: LogBuilder, segment: number, file: Uint8Array, random: Random): Touched {
  const frame = someFrame(log, segment, random)
  const { at, end } = frame
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const bodyLength = view.getUint32(at + 8, true)
  if (bodyLength === 0) return { from: at, to: end }
  for (let times = 1 + random(3); times > 0; times--) {
    const place = at + FRAME_HEADER_BYTES + random(Math.min(bodyLength, 80))
    if (random(2) === 0 && place + 4 <= file.length)
      view.setUint32(place, NUMBERS[random(NUMBERS.length)] as number, true)
    else file[place] = random(256)
  }
  const type = frame.type === FrameType.pad && random(2) === 0 ? 1 + random(11) : frame.type
  const lsn = view.getUint32(at + 16, true)
  const lag = view.getUint32(at + 24, true)
  const incarnation = view.getUint32(at + 28, true)
  const length = Math.min(bodyLength, file.length - at - FRAME_HEADER_BYTES)
  sealFrame(
    file,
    view,
    at,
    length,
    type,
    file[at + 13] as number,
    lsn,
    lag,
    incarnation,
    saltCrcOf(log.saltOf(segment)),
  )
  return { from: at, to: end }
}
