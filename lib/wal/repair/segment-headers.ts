/**
 * What the segments of a directory say of themselves and of their owner, for rebuilding what stands beside them.
 * Why not through the survey: that one needs the MANIFEST which is missing here.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { decodeCheckpoint } from '../format/bodies/checkpoint.js'
import { decodeStream } from '../format/bodies/small.js'
import { FORMAT_MAJOR, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { segmentName, segmentNumberOf } from '../format/manifest.js'
import { decodeSegmentHeader, type SegmentHeader } from '../format/segment-header.js'
import type { WalFs } from '../fs.js'
import type { Disk } from '../open/disk.js'
import { type FrameView, readFrames } from '../read/frames.js'
import type { WalOwner } from '../types.js'

/**
 * Of every segment whose header is good, ascending.
 * @throws MQError WAL_SEGMENT_MISSING: none; WAL_VERSION; WAL_CORRUPT: of several logs, or of other sizes
 */
export async function readSegmentHeaders(disk: Disk, dir: string): Promise<SegmentHeader[]> {
  const numbers = (await disk.readdir(dir)).flatMap((name) => segmentNumberOf(name) ?? [])
  const headers: SegmentHeader[] = []
  for (const number of numbers.sort((left, right) => left - right)) {
    const bytes = await disk.readFile(`${dir}/${segmentName(number)}`, SEGMENT_HEADER_BYTES)
    const decoded = bytes === null ? null : decodeSegmentHeader(bytes)
    if (decoded !== null) headers.push(decoded.header)
  }
  const [first] = headers
  if (first === undefined) {
    const text = `${dir} has ${numbers.length} segments and none of them a good header: restore it from a copy`
    throw walError('WAL_SEGMENT_MISSING', text, { path: dir, segments: numbers.length })
  }
  for (const header of headers) checkSame(dir, first, header)
  return headers
}

function checkSame(dir: string, first: SegmentHeader, header: SegmentHeader): void {
  if (header.major !== FORMAT_MAJOR) {
    const text = `segment ${header.segment} of ${dir} has format version ${header.major}, this release reads ${FORMAT_MAJOR}`
    throw walError('WAL_VERSION', `${text}: use the release that wrote it`, { path: dir, segment: header.segment })
  }
  const isSame =
    Buffer.compare(header.walId, first.walId) === 0 &&
    header.segmentBytes === first.segmentBytes &&
    header.sectorBytes === first.sectorBytes
  if (!isSame) throw foreign(dir, first, header)
}

function foreign(dir: string, first: SegmentHeader, header: SegmentHeader): MQError {
  const who = ({ segment, walId }: SegmentHeader) => `segment ${segment} of log ${Buffer.from(walId).toString('hex')}`
  const text = `${dir} holds ${who(first)} and ${who(header)}: move the files of one of the two logs away`
  return walError('WAL_CORRUPT', text, { path: dir, segment: header.segment })
}

/** A producer gives its streams topics, a queue has one stream without. null: no undamaged frame names a stream. */
export async function ownerOf(fs: WalFs, dir: string, headers: readonly SegmentHeader[]): Promise<WalOwner | null> {
  let topic: string | undefined
  for (const { segment } of headers) {
    await readFrames(fs, dir, segment, (frame) => {
      topic ??= topicIn(frame)
    })
    if (topic !== undefined) return topic === '' ? 'queue' : 'producer'
  }
  return null
}

/** Of the first stream that a CHECKPOINT or STREAM frame names. */
function topicIn({ type, body }: FrameView): string | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  if (type === FrameType.stream) return decodeStream(body, view, 0, body.length).topic
  return type === FrameType.checkpoint ? decodeCheckpoint(body, view, 0, body.length).streams[0]?.topic : undefined
}
