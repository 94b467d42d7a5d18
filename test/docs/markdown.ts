/**
 * README.md and API.md as data: code blocks, tables, headings. For the tests that keep them true.
 * A block under `<!-- run -->` is run against an in-process broker; each of its `// prints: text` comments is a line it
 * must print, in that order.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Block {
  /** `API.md:17`, where the code begins. */
  readonly at: string
  readonly code: string
  readonly isRun: boolean
  /** Lines the block promises to print. */
  readonly prints: readonly string[]
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** The ts blocks of a document. */
export function blocksOf(file: string): Block[] {
  return [...read(file).matchAll(/(<!-- run -->\n)?```ts\n([\s\S]*?)```/g)].map((match) => {
    const [whole, mark, code = ''] = match
    const line = match.input.slice(0, match.index + whole.indexOf(code)).split('\n').length
    const prints = [...code.matchAll(/\/\/ prints: (.*)/g)].map(([, text = '']) => text)
    return { at: `${file}:${line}`, code, isRun: mark !== undefined, prints }
  })
}

/** Names in backticks of the `###` headings, by the `#` chapter above them. */
export function headingNames(file: string): Map<string, string[]> {
  const chapters = new Map<string, string[]>()
  let names: string[] = []
  for (const line of outsideBlocks(read(file)).split('\n')) {
    if (/^# /.test(line)) {
      names = []
      chapters.set(line.slice(2).trim(), names)
    } else if (/^### /.test(line)) names.push(...[...line.matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
  }
  return chapters
}

/** The text of one `#` chapter. */
export function chapterOf(file: string, title: string): string {
  const parts = read(file).split(/^# /m)
  return parts.find((part) => part.startsWith(`${title}\n`)) ?? ''
}

/** Rows of every table whose first column has that heading; cells without the outer pipes; the heading row on demand. */
export function tableRows(text: string, firstHeading: string, withHeading = false): string[][] {
  const rows: string[][] = []
  let isInside = false
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) isInside = false
    else if (cellsOf(line)[0] === firstHeading) {
      isInside = true
      if (withHeading) rows.push(cellsOf(line))
    } else if (isInside && !/^\|[-| ]+\|$/.test(line)) rows.push(cellsOf(line))
  }
  return rows
}

/** A pipe inside a cell is written `\|`. */
function cellsOf(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
}

function outsideBlocks(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '')
}

/** Names that an index file exports, types included. Only lists in braces are legal there. */
export function exportsOf(path: string): string[] {
  const code = read(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
  const lists = [...code.matchAll(/\bexport\s+(?:type\s+)?\{([^}]*)\}/g)]
  const others = code.match(/\bexport\b/g) ?? []
  if (others.length !== lists.length) throw new Error(`${path}: an export that is no list in braces`)
  return lists.flatMap(([, list = '']) =>
    list
      .split(',')
      .map(
        (item) =>
          item
            .trim()
            .replace(/^type\s+/, '')
            .split(/\s+as\s+/)
            .at(-1) as string,
      )
      .filter((name) => name !== ''),
  )
}
