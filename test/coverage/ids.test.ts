/**
 * Every requirement of this version is named by a test, and every feature by API.md; what is missing is a reviewed list
 * that can only shrink.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DOCUMENTED, NOT_YET, REQUIRED } from './ids.js'
import { allTitles, HIGHEST, idsIn, span, titlesOf } from './titles.js'

const titles = allTitles()
const covered = new Set(titles.flatMap(({ text }) => idsIn(text)))
const api = readFileSync(new URL('../../API.md', import.meta.url), 'utf8')

function isInSpecification(id: string): boolean {
  const [prefix = '', number = ''] = id.split('-')
  return Number(number) >= 1 && Number(number) <= (HIGHEST[prefix] ?? 0)
}

describe('requirements', () => {
  it('each one is named by the title of a test', () => {
    expect(REQUIRED.filter((id) => !covered.has(id) && NOT_YET[id] === undefined)).toEqual([])
  })

  it('what has a test is not listed as missing, and only requirements are', () => {
    expect(Object.keys(NOT_YET).filter((id) => covered.has(id))).toEqual([])
    expect(Object.keys(NOT_YET).filter((id) => !REQUIRED.includes(id))).toEqual([])
  })

  it('what is missing says why', () => {
    expect(Object.entries(NOT_YET).filter(([, reason]) => reason.length < 20)).toEqual([])
  })

  it('no title names an id that does not exist', () => {
    const wrong = titles.flatMap(({ text, at }) =>
      idsIn(text)
        .filter((id) => !isInSpecification(id))
        .map((id) => `${at} ${id}`),
    )
    expect(wrong).toEqual([])
  })

  it('each feature is named by API.md, and API.md names none that does not exist', () => {
    const documented = idsIn(api)
    expect(DOCUMENTED.filter((id) => !documented.includes(id))).toEqual([])
    expect(documented.filter((id) => !isInSpecification(id))).toEqual([])
  })
})

describe('the reader of titles', () => {
  const texts = (source: string) => titlesOf(source).map(({ text }) => text)

  it('finds the titles of tests and blocks, whatever stands between', () => {
    const source = [
      "describe('a', () => {",
      '  it("b", () => {})',
      `  it.each([['x', ')'], [\`y\${1 + ')'.length}\`]])('c %s', () => {})`,
      '  describe.skipIf(!has("it(\'no\')"))(`d`, () => {})',
      '  test.concurrent(',
      "    'e, it(',",
      '    async () => {},',
      '  )',
      '})',
    ].join('\n')
    expect(titlesOf(source)).toEqual([
      { text: 'a', line: 1 },
      { text: 'b', line: 2 },
      { text: 'c %s', line: 3 },
      { text: 'd', line: 4 },
      { text: 'e, it(', line: 5 },
    ])
  })

  it('does not count what proves nothing: comments, skip, todo, fails; nor other calls', () => {
    const source = [
      "// it('a')",
      "/* it('b') */",
      "it.skip('c', () => {})",
      "it.todo('d')",
      "it.fails('not true yet', () => {})",
      "describe.skip('e', () => {})",
      "unit('f'); permit('g'); object.it('h')",
      'const text = "it(\'i\')"',
      "it(name, () => {}) // it('j')",
    ].join('\n')
    expect(texts(source)).toEqual([])
  })

  it('is not misled by quotes in regular expressions', () => {
    expect(texts(`const quote = /['"]/\nit('a', () => {})\nconst half = 4 / 2\nit('b', () => {})`)).toEqual(['a', 'b'])
  })

  it('writes ranges out and knows ids by their whole prefix', () => {
    expect(idsIn('P-8..P-10, W-15: text')).toEqual(['P-8', 'P-9', 'P-10', 'W-15'])
    expect(idsIn('P-8..10')).toEqual(['P-8', 'P-9', 'P-10'])
    expect(idsIn('CH-4 and (PR-15), CO-15/K-20')).toEqual(['CH-4', 'PR-15', 'CO-15', 'K-20'])
    expect(idsIn('KIP-227, UTF-8, CRC-32C, SHA-256, KIP-P-1')).toEqual([])
    expect(span('B', 3, 5)).toEqual(['B-3', 'B-4', 'B-5'])
  })
})
