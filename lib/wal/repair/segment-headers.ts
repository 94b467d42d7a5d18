/**
 * What the segments of a directory say of themselves and of their owner, for rebuilding what stands beside them.
 * Why frame by frame and not through the survey: that one needs the MANIFEST which is missing here.
 */
import type { MQError } from '../../errors/index.js'
import { walError } from '../errors.js'
import { decodeCheckpoint } from '../format/bodies/checkpoint.js'
import { decodeStream } from '../format/bodies/small.js'
import { FORMAT_MAJOR, FRAME_HEADER_BYTES, FrameType, SEGMENT_HEADER_BYTES } from '../format/constants.js'
import { FrameHeader, frameBytes, isBodyGood, readFrameHeader, saltCrcOf } from '../format/frame.js'
import { segmentName, segmentNumberOf } from '../format/manifest.js'
import { decodeSegmentHeader, type SegmentHeader } from '../format/segment-header.js'
import type { Disk } from '../open/disk.js'
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
export async function ownerOf(disk: Disk, dir: string, headers: readonly SegmentHeader[]): Promise<WalOwner | null> {
  for (const header of headers) {
    const topic = await firstTopic(disk, `${dir}/${segmentName(header.segment)}`, header)
    if (topic !== null) return topic === '' ? 'queue' : 'producer'
  }
  return null
}

/** Of the first stream that a CHECKPOINT or STREAM frame names. */
async function firstTopic(disk: Disk, path: string, segment: SegmentHeader): Promise<string | null> {
  const fd = await disk.open(path, 'read')
  return disk.closing(fd, path, async () => {
    const saltCrc = saltCrcOf(segment.salt)
    const header = new FrameHeader()
    const head = new Uint8Array(FRAME_HEADER_BYTES)
    for (let at = SEGMENT_HEADER_BYTES; at < segment.segmentBytes; at += frameBytes(header.bodyLength)) {
      const read = await disk.read(fd, path, head, at)
      if (read < head.length || !readFrameHeader(head, viewOf(head), 0, saltCrc, header)) return null
      if (header.bodyLength > segment.segmentBytes - at - FRAME_HEADER_BYTES) return null
      if (header.type !== FrameType.checkpoint && header.type !== FrameType.stream) continue
      const frame = new Uint8Array(FRAME_HEADER_BYTES + header.bodyLength)
      await disk.read(fd, path, frame, at)
      if (!isBodyGood(frame, 0, header)) continue
      const topic = topicIn(frame, header)
      if (topic !== undefined) return topic
    }
    return null
  })
}

function topicIn(frame: Uint8Array, { type, bodyLength }: FrameHeader): string | undefined {
  const view = viewOf(frame)
  if (type === FrameType.stream) return decodeStream(frame, view, FRAME_HEADER_BYTES, bodyLength).topic
  return decodeCheckpoint(frame, view, FRAME_HEADER_BYTES, bodyLength).streams[0]?.topic
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
