/**
 * Our declarations against the message definitions inside a kafka-clients jar: name, key, ranges, order, types,
 * nullability, tags, defaults. Needs the jar that `scripts/kafka` fetches (or TANDEM_KAFKA_LIB); skipped without it.
 * The schemas follow Kafka 4.1: other versions add and remove, so that they are skipped too. Source: kafka.md W-6.
 */
import { describe, expect, it } from 'vitest'
import { ALL_APIS, type Field, type Fields, formatRange, type Message } from '../../lib/protocol/index.js'
import { filesOf, kafkaClientsJar } from '../support/jar.js'

interface DefinedField {
  name: string
  type: string
  versions: string
  nullableVersions?: string
  taggedVersions?: string
  tag?: number
  ignorable?: boolean | string
  default?: unknown
  fields?: DefinedField[]
}
interface Definition {
  apiKey: number
  name: string
  validVersions: string
  flexibleVersions: string
  fields: DefinedField[]
  commonStructs?: { name: string; fields: DefinedField[] }[]
}

/** Where we differ on purpose, as `Message.field`: none so far. Reviewed by hand; each entry needs a reason. */
const REVIEWED: readonly string[] = []

const SCHEMA_VERSION = /^4\.1\./
const jar = kafkaClientsJar()
const files =
  jar !== undefined && SCHEMA_VERSION.test(jar.version)
    ? filesOf(jar.path, 'common/message/')
    : new Map<string, string>()

/** One comparable line per field: everything that reaches the wire. */
type Line = Record<string, unknown>

function linesOfOurs(fields: Fields, path: string): Line[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    const inner = field.element !== null && typeof field.element === 'object' ? field.element : {}
    return [lineOfOurs(field, `${path}.${name}`), ...linesOfOurs(inner, `${path}.${name}`)]
  })
}

function lineOfOurs(field: Field, path: string): Line {
  const plain = (kind: string) => (kind === 'n64' ? 'int64' : kind)
  const element = typeof field.element === 'string' ? plain(field.element) : 'struct'
  return {
    path,
    type: field.kind === 'array' ? `[]${element}` : plain(field.kind),
    versions: formatRange(field.versions),
    nullable: formatRange(field.nullable),
    tag: field.tag,
    tagged: formatRange(field.tagged),
    ignorable: field.ignorable,
    default: field.default === undefined ? '' : String(field.default),
  }
}

function linesOfTheirs(definition: Definition, fields: DefinedField[], path: string): Line[] {
  return fields.flatMap((field) => {
    const at = `${path}.${field.name.charAt(0).toLowerCase()}${field.name.slice(1)}`
    const type = field.type.replace('[]', '')
    const inner = field.fields ?? definition.commonStructs?.find(({ name }) => name === type)?.fields
    return [lineOfTheirs(field, at), ...(inner === undefined ? [] : linesOfTheirs(definition, inner, at))]
  })
}

function lineOfTheirs(field: DefinedField, path: string): Line {
  const none = (text: string | undefined) => formatRangeText(text ?? 'none')
  const isArray = field.type.startsWith('[]')
  const type = field.type.replace('[]', '')
  const kind = /^[A-Z]/.test(type) ? 'struct' : type
  const isNumber = /^u?int|^float/.test(kind) && !isArray && field.default !== undefined
  return {
    path,
    type: isArray ? `[]${kind}` : kind,
    versions: formatRangeText(field.versions),
    nullable: none(field.nullableVersions),
    tag: field.tag ?? -1,
    tagged: none(field.taggedVersions),
    ignorable: String(field.ignorable ?? false) === 'true',
    default: isNumber ? String(BigInt(field.default as string)) : String(field.default ?? ''),
  }
}

const formatRangeText = (text: string) => text.replace(/^(\d+)-\1$/, '$1')

function definitionOf(message: Message): Definition {
  const text = files.get(`${message.name}.json`) ?? '{}'
  return JSON.parse(text.replace(/^\s*\/\/.*$/gm, ''))
}

function compare(message: Message): number {
  const theirs = definitionOf(message)
  expect(
    [message.name, message.apiKey, formatRange(message.versions), formatRange(message.flexible)],
    message.name,
  ).toEqual([theirs.name, theirs.apiKey, theirs.validVersions, theirs.flexibleVersions])
  const notReviewed = ({ path }: Line) => !REVIEWED.includes(path as string)
  const ours = linesOfOurs(message.fields, message.name).filter(notReviewed)
  expect(ours).toEqual(linesOfTheirs(theirs, theirs.fields, message.name).filter(notReviewed))
  return ours.length
}

describe('declarations and the definitions of Kafka 4.1', () => {
  it.skipIf(files.size === 0)('W-6: every field of every message is declared as Kafka defines it', () => {
    const counts = ALL_APIS.flatMap(({ request, response }) => [compare(request), compare(response)])
    expect(counts.length).toBe(114)
    expect(counts.reduce((a, b) => a + b, 0)).toBeGreaterThan(700)
  })
})
