/**
 * Reads files out of a jar: enough of the zip format for the message definitions inside kafka-clients.
 * Why by hand: a test should not need a package for sixty lines. Invariant: reads only what it is asked for.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateRawSync } from 'node:zlib'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Where `scripts/kafka` puts the jars of a real Kafka, unless `TANDEM_KAFKA_LIB` says otherwise. */
const kafkaLib = process.env.TANDEM_KAFKA_LIB ?? join(ROOT, '.kafka', 'lib')

/** Path and version of the kafka-clients jar, or undefined. */
export function kafkaClientsJar(): { path: string; version: string } | undefined {
  if (!existsSync(kafkaLib)) return undefined
  for (const name of readdirSync(kafkaLib).sort()) {
    const version = /^kafka-clients-(\d[\d.]*)\.jar$/.exec(name)?.[1]
    if (version !== undefined) return { path: join(kafkaLib, name), version }
  }
  return undefined
}

const END_OF_DIRECTORY = 0x0605_4b50
const STORED = 0

/** The files below `prefix`, as text by name. */
export function filesOf(jar: string, prefix: string): Map<string, string> {
  const bytes = readFileSync(jar)
  let end = bytes.length - 22
  while (end > 0 && bytes.readUInt32LE(end) !== END_OF_DIRECTORY) end--
  const files = new Map<string, string>()
  for (let at = bytes.readUInt32LE(end + 16), left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = bytes.readUInt16LE(at + 28)
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength)
    if (name.startsWith(prefix) && !name.endsWith('/')) files.set(name.slice(prefix.length), textAt(bytes, at))
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
  return files
}

/** The content of the entry whose directory record is at `at`. */
function textAt(bytes: Buffer, at: number): string {
  const method = bytes.readUInt16LE(at + 10)
  const size = bytes.readUInt32LE(at + 20)
  const local = bytes.readUInt32LE(at + 42)
  const from = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
  const content = bytes.subarray(from, from + size)
  return (method === STORED ? content : inflateRawSync(content)).toString('utf8')
}
