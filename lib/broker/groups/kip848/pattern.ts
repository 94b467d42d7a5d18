/**
 * Subscriptions by pattern: Kafka matches whole topic names with RE2, we have JavaScript's expressions.
 * Why a translation and not a library: the two agree but for a few spellings, and what RE2 refuses (look-around, back
 * references, unknown escapes) is easily seen.
 * Invariant: what RE2 refuses is refused; what is accepted here means what it means there. Rare spellings of RE2 that
 * JavaScript lacks (flags in the middle, `\C`) are refused as well.
 * Source: the RE2 syntax page; what Kafka 4.1.1 was seen to answer.
 */
const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
}
const LEADING_FLAGS = /^\(\?([ims]+)\)/
/** Letters and digits that mean something behind a backslash in both languages. */
const SHARED_ESCAPES = /[abBdDfnrsStvwWxpP0-7]/
const MOST_REPEATS = 1000
const REPEAT = /^\{(\d+)(?:,(\d*))?\}/

/** The expression, or null when it is none. */
export function compilePattern(pattern: string): RegExp | null {
  try {
    const flags = LEADING_FLAGS.exec(pattern)
    const body = translate(flags === null ? pattern : pattern.slice(flags[0].length))
    return body === null ? null : new RegExp(`^(?:${body})$`, `${(flags?.[1] ?? '').replace(/(.)(?=.*\1)/g, '')}u`)
  } catch {
    return null // the engine's own judgement: not an expression
  }
}

/** Walks over the pattern once, token by token; null: RE2 would refuse it, or we cannot say it. */
function translate(pattern: string): string | null {
  let out = ''
  let at = 0
  while (at < pattern.length) {
    const token = tokenAt(pattern, at)
    if (token === null) return null
    out += token.text
    at += token.length
  }
  return out
}

interface Token {
  readonly text: string
  readonly length: number
}

function tokenAt(pattern: string, at: number): Token | null {
  const rest = pattern.slice(at)
  if (rest.startsWith('\\Q')) return literal(rest)
  if (rest.startsWith('\\')) return escapeAt(rest)
  if (rest.startsWith('(?')) return group(rest)
  if (rest.startsWith('[')) return characterClass(rest)
  if (rest.startsWith('{')) return repeat(rest)
  if (rest.startsWith('}') || rest.startsWith(']')) return { text: `\\${rest[0]}`, length: 1 }
  return { text: rest[0] as string, length: 1 }
}

/** `\Q...\E`: everything between is meant as it is written. */
function literal(rest: string): Token {
  const end = rest.indexOf('\\E')
  const inside = rest.slice(2, end < 0 ? rest.length : end)
  return { text: [...inside].map(quoted).join(''), length: end < 0 ? rest.length : end + 2 }
}

const quoted = (character: string) => (/[\^$\\.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character)

function escapeAt(rest: string): Token | null {
  const next = rest[1]
  if (next === undefined) return null
  if (next === 'A') return { text: '(?<![^])', length: 2 }
  if (next === 'z') return { text: '(?![^])', length: 2 }
  if (next === 'a') return { text: '\\x07', length: 2 }
  if ((next === 'p' || next === 'P') && /^\\[pP][A-Z]/.test(rest)) return { text: `\\${next}{${rest[2]}}`, length: 3 }
  if (/[1-9]/.test(next)) return null // no back references in RE2
  if (/[A-Za-z0]/.test(next)) return SHARED_ESCAPES.test(next) ? { text: `\\${next}`, length: 2 } : null
  return { text: quoted(next), length: 2 }
}

/** `(?:`, `(?P<name>` and `(?<name>` only: no look-around, no flags inside. */
function group(rest: string): Token | null {
  if (rest.startsWith('(?:')) return { text: '(?:', length: 3 }
  const name = /^\(\?P?<([A-Za-z0-9_]+)>/.exec(rest)
  return name === null ? null : { text: '(', length: name[0].length }
}

function repeat(rest: string): Token | null {
  const found = REPEAT.exec(rest)
  if (found === null) return { text: '\\{', length: 1 } // RE2 takes it for the character
  const isTooMuch = [found[1], found[2]].some((count) => Number(count ?? 0) > MOST_REPEATS)
  return isTooMuch ? null : { text: found[0], length: found[0].length }
}

function characterClass(rest: string): Token | null {
  let out = rest.startsWith('[^') ? '[^' : '['
  let at = out.length
  for (const start = at; at < rest.length; ) {
    const character = rest[at] as string
    const posix = /^\[:(\^?)(\w+):\]/.exec(rest.slice(at))
    if (posix !== null) {
      const known = POSIX[posix[2] as string]
      if (known === undefined || posix[1] === '^') return null
      out += known
      at += posix[0].length
    } else if (character === ']' && at > start) {
      return { text: `${out}]`, length: at + 1 }
    } else if (character === '\\') {
      const escaped = escapeAt(rest.slice(at))
      if (escaped === null || escaped.text.startsWith('(')) return null
      out += escaped.text === '-' ? '\\-' : escaped.text
      at += escaped.length
    } else {
      out += character === '[' || character === ']' ? `\\${character}` : character
      at++
    }
  }
  return null // not closed
}
