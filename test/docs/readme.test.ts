/**
 * Every ts block of README.md and API.md compiles against this source; those marked `<!-- run -->` run against an
 * in-process broker and print what they promise. A document that is wrong is a defect like any other.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createBroker } from '../../lib/broker/index.js'
import { type Block, blocksOf, ROOT, read } from './markdown.js'

const DOCUMENTS = [
  'README.md',
  'API.md',
  'docs/broker.md',
  'docs/channel.md',
  'docs/gateway.md',
  'docs/net.md',
  'docs/wal.md',
]
/** Topics the blocks write to and read from. */
const TOPICS = ['orders', 'events']
const blocks = DOCUMENTS.flatMap(blocksOf)

/** What a short block may use without saying where it comes from. */
const GIVEN: Readonly<Record<string, string>> = {
  producer: "import type { Producer as $P } from 'tandem-mq'\ndeclare const producer: $P",
  consumer: "import type { Consumer as $C } from 'tandem-mq'\ndeclare const consumer: $C",
  broker: "import type { Broker as $B } from 'tandem-mq/broker'\ndeclare const broker: $B",
}

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-mq-docs-'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** What is given stands below the code, so that a message of the compiler names the line of the document. */
function sourceOf({ code }: Block): string {
  const given = Object.entries(GIVEN).filter(
    ([name]) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`(const|let) (\\{[^}]*)?${name}\\b`).test(code),
  )
  return `${code}\n${given.map(([, text]) => text).join('\n')}\nexport {}\n`
}

function nameOf({ at }: Block): string {
  return at.replace(/[^\w]/g, '-')
}

/** One call of tsc over all blocks: its messages, with the place in the document. */
function compile(): string[] {
  const sources = join(folder, 'blocks')
  mkdirSync(sources, { recursive: true })
  for (const block of blocks) writeFileSync(join(sources, `${nameOf(block)}.ts`), sourceOf(block))
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noEmit: true,
      typeRoots: [join(ROOT, 'node_modules/@types')],
      paths: { 'tandem-mq': [join(ROOT, 'lib/index.ts')], 'tandem-mq/*': [join(ROOT, 'lib/*/index.ts')] },
    },
    include: [join(sources, '*.ts')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  try {
    execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', join(folder, 'tsconfig.json'), '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return []
  } catch (error) {
    return messagesOf(String((error as { stdout?: unknown }).stdout))
  }
}

/** `blocks/API-md-17.ts(3,4): error ...` becomes `API.md:19 ...`. Mistakes elsewhere belong to other tests. */
function messagesOf(output: string): string[] {
  const found = [...output.matchAll(/^(?:.*\/)?blocks\/([\w-]+)\.ts\((\d+),\d+\): (.*)$/gm)]
  const messages = found.map(([, name = '', line = '', text = '']) => {
    const block = blocks.find((one) => nameOf(one) === name)
    const [file, start] = block?.at.split(':') ?? [name, '1']
    return `${file}:${Number(start) + Number(line) - 1} ${text}`
  })
  return messages.length > 0 ? messages : output.includes('lib/') ? [] : [output]
}

describe('the documents', () => {
  it('have blocks to check, some of which run', () => {
    expect(blocksOf('README.md').filter(({ isRun }) => isRun).length).toBeGreaterThanOrEqual(4)
    expect(blocksOf('API.md').filter(({ isRun }) => isRun).length).toBeGreaterThanOrEqual(6)
  })

  it('every ts block compiles', { timeout: 120_000 }, () => {
    expect(compile()).toEqual([])
  })

  it('every block that runs says what it prints', () => {
    expect(blocks.filter(({ isRun, prints }) => isRun && prints.length === 0).map(({ at }) => at)).toEqual([])
  })
})

describe('blocks that run', () => {
  const running = blocks.filter(({ isRun }) => isRun)

  it.each(running.map((block) => [block.at, block] as const))('%s prints what it promises', async (_at, block) => {
    const broker = await createBroker()
    onTestFinished(() => broker.close())
    for (const name of TOPICS) broker.createTopic(name)
    expect(await run(block, broker.bootstrap)).toEqual(block.prints)
    await expect.poll(() => broker.connections, { timeout: 5000 }).toBe(0)
  })

  /** Runs a block in this process, with the broker's address and paths of ours in the place of the documented ones. */
  async function run(block: Block, bootstrap: string): Promise<string[]> {
    const file = join(folder, `run-${nameOf(block)}.ts`)
    const printed: string[] = []
    const console = { ...globalThis.console, log: (...items: unknown[]) => printed.push(items.map(shown).join(' ')) }
    Object.assign(globalThis, { $console: console })
    const code = block.code
      .replaceAll("'localhost:9092'", `'${bootstrap}'`)
      .replaceAll(/'\.\/([\w.-]+)'/g, (_path, name) => JSON.stringify(join(folder, `${nameOf(block)}-${name}`)))
      .replaceAll(/\bconsole\./g, '$console.')
    writeFileSync(file, code)
    await import(file)
    return printed
  }
})

describe('links', () => {
  const documents = [...DOCUMENTS, 'CHANGELOG.md']

  it.each(documents)('%s leads nowhere that does not exist', (file) => {
    const links = [...read(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
    const broken = links.filter((target) => {
      if (/^https?:/.test(target)) return false
      const [path = '', anchor] = target.split('#')
      const goal = path === '' ? file : join(dirname(file), path)
      if (!existsSync(join(ROOT, goal))) return true
      return anchor !== undefined && !anchorsOf(read(goal)).includes(anchor)
    })
    expect(broken).toEqual([])
  })
})

/** Names that headings get: lower case, no punctuation, hyphens for spaces; a repeated one gets a number. */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>()
  return [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => {
    const plain = title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
    const count = seen.get(plain) ?? 0
    seen.set(plain, count + 1)
    return count === 0 ? plain : `${plain}-${count}`
  })
}

/** As console.log shows it. */
function shown(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value)
}
