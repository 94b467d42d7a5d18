/**
 * Every message, in every version, against bytes that Apache Kafka's own classes wrote: reading them gives what Kafka
 * meant, writing that gives the same bytes. Source of the cases: vectors/messages; kafka.md W-6.
 */
import { describe, expect, it } from 'vitest'
import {
  ALL_APIS,
  type Api,
  apiOf,
  ByteReader,
  ByteWriter,
  compile,
  type Message,
  requestHeaderVersion,
  responseHeaderVersion,
} from '../../lib/protocol/index.js'
import { fromJson, toJson } from '../support/message-json.js'
import { fixture, hasVectors, hex, unhex, vectorFiles, vectors } from '../support/vectors.js'

interface Sample {
  s: string
  hex: string
  json: Record<string, unknown>
  sameAs?: string
}
interface Version {
  v: number
  requestHeader: number
  responseHeader: number
  request: Sample[]
  response: Sample[]
}
interface Case {
  api: string
  key: number
  min: number
  max: number
  versions: Version[]
}

const BIG = { int64: 'bigint' } as const

function checkSample(message: Message, version: number, samples: readonly Sample[], sample: Sample): void {
  const same = sample.sameAs === undefined ? sample : (samples.find(({ s }) => s === sample.sameAs) as Sample)
  const codec = compile(message, version, BIG)
  const reader = new ByteReader(unhex(sample.hex))
  const object = codec.read(reader)
  const where = `${message.name} v${version} ${sample.s}`
  expect(reader.remaining, `${where}: everything is read`).toBe(0)
  expect(toJson(message.fields, version, object), `${where}: read`).toEqual(same.json)
  for (const input of [object, fromJson(message.fields, same.json)]) {
    const writer = new ByteWriter(16)
    codec.write(writer, input as never)
    expect(hex(Buffer.concat(writer.finish())), `${where}: write`).toBe(same.hex)
    expect(codec.size(input as never), `${where}: size`).toBe(same.hex.length / 2)
  }
}

/** The form the library itself uses: numbers where the schema says so. Only the extremes of sample `c` are refused. */
function checkNumbers(message: Message, version: number, sample: Sample): void {
  const codec = compile(message, version)
  const where = `${message.name} v${version} ${sample.s} as numbers`
  const read = () => codec.read(new ByteReader(unhex(sample.hex)))
  if (sample.s === 'c' && /"-?9223372036854775/.test(JSON.stringify(sample.json)) && !isWritable(read)) return
  const writer = new ByteWriter()
  codec.write(writer, read() as never)
  if (sample.sameAs === undefined) expect(hex(Buffer.concat(writer.finish())), where).toBe(sample.hex)
}

function isWritable(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    expect(error).toMatchObject({ context: { reason: 'MALFORMED_FRAME' } })
    return false
  }
}

function checkApi({ key, api: name, min, max, versions }: Case): number {
  const api = apiOf(key) as Api
  expect(api.name).toBe(name)
  expect(api.versions).toEqual({ min, max })
  let checked = 0
  for (const { v, request, response, requestHeader, responseHeader } of versions) {
    expect(requestHeaderVersion(api, v), `${name} v${v} request header`).toBe(requestHeader)
    expect(responseHeaderVersion(api, v), `${name} v${v} response header`).toBe(responseHeader)
    for (const sample of request) checkSample(api.request, v, request, sample)
    for (const sample of response) checkSample(api.response, v, response, sample)
    for (const sample of request) checkNumbers(api.request, v, sample)
    for (const sample of response) checkNumbers(api.response, v, sample)
    checked += request.length + response.length
  }
  return checked
}

describe('messages made by Apache Kafka', () => {
  it.skipIf(!hasVectors)('W-6: there is a schema for each file and a file for each schema', () => {
    const keys = vectorFiles('messages').map((file) => Number.parseInt(file, 10))
    expect(ALL_APIS.map(({ key }) => key)).toEqual(keys.sort((a, b) => a - b))
  })

  // Without the folder there is nothing to list here: the skipped test above says so.
  for (const file of vectorFiles('messages')) {
    it(`W-6: ${file.slice(0, -5)} reads and writes Kafka's bytes in each version`, () => {
      expect(checkApi(vectors(`messages/${file}`))).toBeGreaterThan(1)
    })
  }

  it('W-6: the cases kept in test/fixtures read and write', () => {
    const cases: Case[] = fixture('messages.json')
    expect(cases.map((one) => checkApi(one)).reduce((a, b) => a + b, 0)).toBeGreaterThan(40)
  })
})
