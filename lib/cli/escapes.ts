/**
 * Delimiters and format strings as kcat writes them: `\n`, `\r`, `\t`, `\x1f`, `\31` (decimal).
 * Invariant: the result is bytes, since `\xff` is one; another character behind a backslash stands for itself.
 * Source: kcat(1), and what kcat 1.7.1 does with them.
 */
const NAMED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }
const ESCAPE = /\\(?:x([0-9a-fA-F]{1,2})|(\d{1,3})|([\s\S]))/g

export function unescaped(text: string): Buffer {
  const parts: Buffer[] = []
  let at = 0
  for (const match of text.matchAll(ESCAPE)) {
    parts.push(Buffer.from(text.slice(at, match.index)), byteOf(match))
    at = match.index + match[0].length
  }
  parts.push(Buffer.from(text.slice(at)))
  return Buffer.concat(parts)
}

function byteOf([, hex, decimal, letter = '']: RegExpMatchArray): Buffer {
  if (hex !== undefined) return Buffer.from([Number.parseInt(hex, 16)])
  if (decimal !== undefined) return Buffer.from([Number(decimal) & 0xff])
  return Buffer.from(NAMED[letter] ?? letter)
}
