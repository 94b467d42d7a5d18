/**
 * Who may what at a gateway, from a file: one line per token, `token name publish=a,b-* subscribe=c keys=* stats`.
 * Why the file is looked at again: a token must be taken back without ending everybody's connection. A new version that cannot
 * be read leaves the old one in force, and is told.
 * Invariants: no token is ever shown, nor kept as text: what is looked up is its digest, so the time of a look-up says nothing.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Identity } from '../../gateway/index.js'
import { UsageError } from '../usage.js'

/** A topic, or a beginning of topics with `*` behind it. */
const TOPIC_RULE = /^(?:[a-zA-Z0-9._-]{1,249}\*?|\*)$/
const MAX_NAME_LENGTH = 249
const WORD = /^(?:publish|subscribe|keys)=./

type Identities = ReadonlyMap<string, Identity>

export class TokenFile {
  readonly #path: string
  readonly #onTrouble: (text: string) => void
  #version: string
  #identities: Identities

  /** Throws UsageError when it cannot be read or understood. `onTrouble` hears of later versions that cannot. */
  constructor(path: string, onTrouble: (text: string) => void) {
    this.#path = path
    this.#onTrouble = onTrouble
    this.#version = versionOf(path)
    this.#identities = identitiesIn(path)
  }

  /** Null: nobody has this token. */
  identityOf(token: string): Identity | null {
    this.#look()
    return this.#identities.get(digestOf(token)) ?? null
  }

  #look(): void {
    const version = versionOf(this.#path)
    if (version === this.#version) return
    this.#version = version
    try {
      this.#identities = identitiesIn(this.#path)
    } catch (error) {
      this.#onTrouble(`${(error as Error).message}; the tokens of before are in force`)
    }
  }
}

/** Throws UsageError for what is no rule of topics; `what` names where it stands. */
export function checkRules(what: string, rules: readonly string[]): void {
  const wrong = rules.find((rule) => !TOPIC_RULE.test(rule))
  if (wrong === undefined) return
  throw new UsageError(`${what}: expected a topic, or the beginning of topics and *, got '${wrong}'`)
}

/** Changes with the file; also when it cannot be looked at. */
function versionOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path)
    return `${mtimeMs} ${size} ${ino}`
  } catch (error) {
    return codeOf(error)
  }
}

function identitiesIn(path: string): Identities {
  const found = new Map<string, Identity>()
  for (const [index, line] of contentOf(path).split(/\r?\n/).entries()) {
    const [token, ...words] = line.trim().split(/\s+/)
    if (token === undefined || token === '' || token.startsWith('#')) continue
    const where = `--token-file: ${path}: line ${index + 1}`
    const digest = digestOf(token)
    if (found.has(digest)) throw new UsageError(`${where}: its token stands in a line above already`)
    found.set(digest, identityOf(where, words))
  }
  if (found.size === 0) throw new UsageError(`--token-file: ${path} names nobody: ${FORM}`)
  return found
}

const FORM = 'expected lines such as: token name publish=orders,chat-* subscribe=chat-*'

function identityOf(where: string, [name = '', ...words]: readonly string[]): Identity {
  if (name === '' || name.length > MAX_NAME_LENGTH || /^\w+=/.test(name)) {
    throw new UsageError(`${where}: the second word is the name, 1 to ${MAX_NAME_LENGTH} characters: ${FORM}`)
  }
  const rulesOf = (list: string) => words.filter((word) => word.startsWith(`${list}=`)).flatMap(rulesIn)
  // The word is not shown: with a missing blank it may be a token.
  if (!words.every((word) => word === 'stats' || WORD.test(word)))
    throw new UsageError(`${where}: expected publish=, subscribe=, keys= or stats behind the name`)
  const [publish, subscribe, keys] = [rulesOf('publish'), rulesOf('subscribe'), rulesOf('keys')]
  checkRules(`${where}: publish`, publish)
  checkRules(`${where}: subscribe`, subscribe)
  return { name, publish, subscribe, ...(keys.length === 0 ? {} : { keys }), stats: words.includes('stats') }
}

function rulesIn(word: string): string[] {
  return word.slice(word.indexOf('=') + 1).split(',')
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`--token-file: ${path} cannot be read (${codeOf(error)})`)
  }
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? 'unknown reason'
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
