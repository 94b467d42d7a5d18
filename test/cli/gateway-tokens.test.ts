/** The token file of `tandem-mq gateway`: who may what, what is no such file, and versions that come while it is used. */
import { mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TokenFile } from '../../lib/cli/commands/gateway-tokens.js'

let folder = ''
let count = 0
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tokens-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function fileOf(content: string, path = join(folder, `tokens-${++count}`)): string {
  writeFileSync(path, content)
  return path
}

const open = (content: string, onTrouble: (text: string) => void = (text) => expect.fail(text)) =>
  new TokenFile(fileOf(content), onTrouble)

describe('a token file', () => {
  it('GW-4: says who has a token and what he may', () => {
    const tokens = open(
      '# who may what\n\nt0ken-a ann publish=chat-messages,orders* subscribe=* stats\r\n\tt0ken-b\tbob  keys=ann,bob keys=carl\n',
    )
    expect(tokens.identityOf('t0ken-a')).toEqual({
      name: 'ann',
      publish: ['chat-messages', 'orders*'],
      subscribe: ['*'],
      stats: true,
    })
    expect(tokens.identityOf('t0ken-b')).toEqual({
      name: 'bob',
      publish: [],
      subscribe: [],
      keys: ['ann', 'bob', 'carl'],
      stats: false,
    })
    for (const nobody of ['', 't0ken', 't0ken-a ', '#', 'ann']) expect(tokens.identityOf(nobody)).toBeNull()
  })

  it.each([
    ['', 'names nobody'],
    ['# nothing\n', 'names nobody'],
    ['secret-token\n', 'line 1: the second word is the name'],
    ['secret-token publish=a\n', 'line 1: the second word is the name'],
    ['secret-token ann publish\n', 'line 1: expected publish='],
    ['secret-token ann publish=\n', 'line 1: expected publish='],
    ['secret-token ann write=a\n', 'line 1: expected publish='],
    [
      '\nsecret-token ann publish=a*b\n',
      "line 2: publish: expected a topic, or the beginning of topics and *, got 'a*b'",
    ],
    [
      'secret-token ann subscribe=a,,b\n',
      "line 1: subscribe: expected a topic, or the beginning of topics and *, got ''",
    ],
    ['secret-token ann\nsecret-token bob\n', 'line 2: its token stands in a line above already'],
  ])('GW-4, CL-6: %j is refused, and no token is shown', (content, text) => {
    const refused = () => open(content)
    expect(refused).toThrow(text)
    expect(refused).not.toThrow('secret-token')
  })

  it('GW-4: one that is not there is refused', () => {
    expect(() => new TokenFile(join(folder, 'none'), () => {})).toThrow('none cannot be read (ENOENT)')
  })

  it('GW-4: is read anew when it changes; what cannot be read leaves the old one in force, and is told once', () => {
    const told: string[] = []
    const path = fileOf('first ann\n')
    const tokens = new TokenFile(path, (text) => told.push(text))
    const change = (content: string, second: number) => {
      fileOf(content, path)
      utimesSync(path, second, second) // two versions within one tick of the file system's clock
    }
    change('second bob\n', 1)
    expect([tokens.identityOf('first'), tokens.identityOf('second')?.name]).toEqual([null, 'bob'])
    change('third\n', 2)
    expect([tokens.identityOf('third'), tokens.identityOf('second')?.name]).toEqual([null, 'bob'])
    expect(told).toEqual([expect.stringMatching(/line 1: .*; the tokens of before are in force$/)])
    change('fourth carl\n', 3)
    expect([tokens.identityOf('second'), tokens.identityOf('fourth')?.name]).toEqual([null, 'carl'])
    unlinkSync(path)
    expect([tokens.identityOf('fourth')?.name, tokens.identityOf('fourth')?.name]).toEqual(['carl', 'carl'])
    expect(told.slice(1)).toEqual([expect.stringContaining('cannot be read (ENOENT); the tokens of before')])
  })
})
