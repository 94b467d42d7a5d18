/** Streams written by other programs: lz4 1.9.4, zstd 1.5.4 and gzip 1.12 on a Linux machine, options as named. */
import { readFileSync } from 'node:fs'

interface ForeignFrames {
  readonly text: string
  readonly repeat: number
  readonly lz4: Record<string, string>
  readonly zstd: Record<string, string>
  readonly gzip: Record<string, string>
}

const frames = JSON.parse(readFileSync(new URL('./foreign-frames.json', import.meta.url), 'utf8')) as ForeignFrames
const original = Buffer.from(frames.text.repeat(frames.repeat))

/** `[options, stream, original]` for each stream of a format. */
export function foreign(format: 'lz4' | 'zstd' | 'gzip'): [options: string, packed: Buffer, original: Buffer][] {
  return Object.entries(frames[format]).map(([options, base64]) => [options, Buffer.from(base64, 'base64'), original])
}
