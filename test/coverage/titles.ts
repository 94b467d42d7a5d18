/**
 * Which requirement ids the titles of tests name.
 * Why the sources are read and not a run's report: a report knows only what was run, and this must hold for every
 * single run. Comments do not count, nor does anything under `skip`, `todo` or `fails`: a title counts when its test
 * holds and could fail.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TESTS = join(ROOT, 'test')
/** This folder and shared helpers hold no tests of the product. */
const LEFT_OUT = ['coverage', 'support', 'fixtures']
const BLOCK = /(?<![\w.$])(?:it|test|describe)\b/y
const UNPROVED = ['skip', 'todo', 'fails']

export interface Title {
  readonly text: string
  /** `test/room/file.test.ts:12` */
  readonly at: string
}

/** Highest number of each prefix in the specification: a title that names more has a typing error. */
export const HIGHEST: Readonly<Record<string, number>> = {
  CH: 20,
  CD: 4,
  PR: 24,
  WA: 6,
  QU: 6,
  CO: 17,
  CL: 7,
  AD: 2,
  BR: 2,
  CM: 1,
  NT: 9,
  GW: 4,
  CF: 4,
  ER: 3,
  ME: 8,
  FA: 5,
  EX: 3,
  W: 29,
  R: 10,
  P: 64,
  B: 17,
  C: 43,
  K: 26,
  F: 6,
}

const ID = `(${Object.keys(HIGHEST).join('|')})-(\\d+)`
/** One id, or a range: `P-8..P-10`, `P-8..10`. */
const ID_OR_RANGE = new RegExp(`(?<![A-Za-z0-9-])${ID}(?:\\.\\.(?:\\1-)?(\\d+))?(?![A-Za-z0-9])`, 'g')

/** Ids in a text, ranges written out. */
export function idsIn(text: string): string[] {
  return [...text.matchAll(ID_OR_RANGE)].flatMap(([, prefix = '', from = '', to = from]) => span(prefix, +from, +to))
}

/** The ids `prefix-from` to `prefix-to`. */
export function span(prefix: string, from: number, to: number): string[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => `${prefix}-${from + index}`)
}

/** The titles of all tests and of the blocks around them. */
export function allTitles(): Title[] {
  return sourcesBelow(TESTS).flatMap((file) => {
    const name = relative(ROOT, file)
    return titlesOf(readFileSync(file, 'utf8')).map(({ text, line }) => ({ text, at: `${name}:${line}` }))
  })
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => folder !== TESTS || !LEFT_OUT.includes(name))
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? sourcesBelow(path) : path.endsWith('.ts') ? [path] : []))
}

/** Titles in one source: the string that opens the arguments of `it`, `test` and `describe`, also behind `.each(..)`. */
export function titlesOf(source: string): { text: string; line: number }[] {
  const code = withoutComments(source)
  const found: { text: string; line: number }[] = []
  for (let at = 0; at < code.length; ) {
    if (isQuote(code[at])) {
      at = endOfString(code, at)
      continue
    }
    BLOCK.lastIndex = at
    const word = BLOCK.exec(code)?.[0].length ?? 0
    const text = word === 0 ? null : titleAt(code, at + word)
    if (text !== null) found.push({ text, line: code.slice(0, at).split('\n').length })
    at += Math.max(1, word)
  }
  return found
}

/** Follows `.each(...)`, `.skipIf(...)` and the like up to the call whose first argument is a string. */
function titleAt(code: string, start: number): string | null {
  for (let at = start; at < code.length; ) {
    const char = code[at] as string
    if (/\s/.test(char)) at++
    else if (char === '.') {
      const word = /^\w+/.exec(code.slice(at + 1))?.[0] ?? ''
      if (word === '' || UNPROVED.includes(word)) return null
      at += 1 + word.length
    } else if (char === '`') at = endOfString(code, at)
    else if (char === '(') {
      const inner = at + 1 + (/^\s*/.exec(code.slice(at + 1))?.[0].length ?? 0)
      if (isQuote(code[inner])) return code.slice(inner + 1, endOfString(code, inner) - 1)
      at = endOfGroup(code, at)
    } else return null
  }
  return null
}

function isQuote(char: string | undefined): boolean {
  return char === "'" || char === '"' || char === '`'
}

/** Position behind the string that opens at `at`; a template's `${...}` may hold strings of its own. */
function endOfString(code: string, at: number): number {
  const quote = code[at]
  for (let next = at + 1; next < code.length; next++) {
    if (code[next] === '\\') next++
    else if (code[next] === quote) return next + 1
    else if (quote === '`' && code.startsWith('${', next)) next = endOfGroup(code, next + 1) - 1
  }
  return code.length
}

/** Position behind the bracket that closes the one at `at`. */
function endOfGroup(code: string, at: number): number {
  let depth = 0
  for (let next = at; next < code.length; next++) {
    const char = code[next] as string
    if (isQuote(char)) next = endOfString(code, next) - 1
    else if ('([{'.includes(char)) depth++
    else if (')]}'.includes(char) && --depth === 0) return next + 1
  }
  return code.length
}

/** Comments and regular expressions become spaces, so that lines keep their numbers and no quote in them misleads. */
function withoutComments(source: string): string {
  let out = ''
  for (let at = 0; at < source.length; ) {
    if (isQuote(source[at])) {
      const end = endOfString(source, at)
      out += source.slice(at, end)
      at = end
    } else if (source.startsWith('//', at) || source.startsWith('/*', at)) {
      const end = endOfComment(source, at)
      out += source.slice(at, end).replace(/[^\n]/g, ' ')
      at = end
    } else if (source[at] === '/' && isRegExpAllowed(out)) {
      const end = endOfRegExp(source, at)
      out += ' '.repeat(end - at)
      at = end
    } else out += source[at++]
  }
  return out
}

/** A slash behind a value divides; behind an operator, an opening bracket or `return` it opens a regular expression. */
function isRegExpAllowed(before: string): boolean {
  return /(?:^|[([{,;=:!&|?+*<>~^%-]|\breturn|=>)\s*$/.test(before.slice(-40))
}

function endOfRegExp(source: string, at: number): number {
  let isClass = false
  for (let next = at + 1; next < source.length && source[next] !== '\n'; next++) {
    if (source[next] === '\\') next++
    else if (source[next] === '[') isClass = true
    else if (source[next] === ']') isClass = false
    else if (source[next] === '/' && !isClass) return next + 1
  }
  return at + 1
}

function endOfComment(source: string, at: number): number {
  const isLine = source[at + 1] === '/'
  const end = source.indexOf(isLine ? '\n' : '*/', at + 2)
  return end < 0 ? source.length : isLine ? end : end + 2
}
