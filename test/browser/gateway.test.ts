/** The gateway's client, the chat and the dashboard in a real Chromium, over a gateway on the in-process broker. */
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { deferred } from '../../lib/util/index.js'
import { eventually } from '../support/eventually.js'
import { chromiumPath, gatewayStage, launch, openPage, signIn } from './stage.js'

const NUMBERS_PAGES = fileURLToPath(new URL('./pages/', import.meta.url))
const TOGETHER_MS = 30_000
const LAST = 2_000
const TROUBLES = 4

/** What pages/numbers.js offers. */
interface Numbers {
  readonly read: { readonly seen: number[]; readonly gaps: unknown[]; readonly states: string[] }
  readonly reader: () => Promise<void>
  readonly writer: (last: number) => Promise<Record<'stored' | 'possibly-persisted' | 'not-persisted', number[]>>
}
declare const numbers: Numbers

/** Network failures are what these tests are about; everything else on the console is a fault. */
const faults = (complaints: readonly string[]) =>
  complaints.filter((text) => !/WebSocket connection to .* failed|ERR_CONNECTION/.test(text))

describe.skipIf(chromiumPath() === undefined)(
  'in a real browser (skipped: no Chromium on the path, and none named by CHROMIUM)',
  () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await launch()
    })
    afterAll(() => browser.close())

    it.each(['cut', 'restart'] as const)(
      'GW-1: numbers that flow while the connection is %s arrive once and in order',
      async (trouble) => {
        const { address, relay, restart, broker } = await gatewayStage({ pages: NUMBERS_PAGES })
        const reader = await openPage(browser, address)
        const writer = await openPage(browser, address)
        const seen = () => reader.page.evaluate(() => numbers.read.seen)
        const opened = () => reader.page.evaluate(() => numbers.read.states.filter((state) => state === 'open').length)
        await reader.page.evaluate(() => numbers.reader())
        const writing = writer.page.evaluate((last) => numbers.writer(last), LAST)
        for (let n = 1; n <= TROUBLES; n++) {
          await eventually(
            `${n * 200} numbers`,
            async () => (await opened()) === n && (await seen()).length > n * 200,
            TOGETHER_MS,
          )
          if (trouble === 'cut') relay.cut()
          else await restart()
        }
        const fates = await writing
        const partitions = await Promise.all([0, 1, 2].map((partition) => broker.records('numbers', partition)))
        const log = partitions.flat().map(({ value }) => Number(value))
        await eventually('all of the log', async () => (await seen()).length >= log.length, TOGETHER_MS)
        const { gaps } = await reader.page.evaluate(() => numbers.read)
        expect(await seen()).toEqual(log)
        expect(gaps).toEqual([])
        await eventually(
          'one connection more than troubles',
          async () => (await opened()) === TROUBLES + 1,
          TOGETHER_MS,
        )
        // What was written: in order, none twice, nothing lost that was called stored, the others known to be in doubt.
        expect(log).toEqual([...new Set(log)].sort((a, b) => a - b))
        expect(fates.stored.filter((n) => !log.includes(n))).toEqual([])
        expect(fates['not-persisted']).toEqual([])
        expect(fates.stored.length + fates['possibly-persisted'].length).toBe(LAST)
        expect(faults([...reader.complaints, ...writer.complaints])).toEqual([])
      },
    )

    it('EX-1: a message goes from one page to the other by name, as text, and is told unread in other conversations', async () => {
      const { address, broker } = await gatewayStage()
      const alice = await openPage(browser, address)
      const bob = await openPage(browser, address)
      await signIn(alice.page, 'alice')
      await signIn(bob.page, 'bob')
      await alice.page.getByRole('button', { name: 'bob' }).click()
      await alice.page.getByLabel('Message').fill('hello <img src=x onerror=alert(1)>')
      await alice.page.keyboard.press('Enter')
      await alice.page.locator('.is-mine .fate', { hasText: 'stored' }).waitFor()
      await bob.page.locator('#messages .bubble', { hasText: 'hello <img src=x onerror=alert(1)>' }).waitFor()
      await bob.page.getByRole('button', { name: 'dave' }).click()
      await alice.page.getByLabel('Message').fill('again')
      await alice.page.keyboard.press('Enter')
      await bob.page.locator('#people li', { hasText: 'alice' }).locator('.unread').waitFor()
      const records = (
        await Promise.all([0, 1, 2].map((partition) => broker.records('chat-messages', partition)))
      ).flat()
      expect(records.map(({ key }) => String(key))).toEqual(['bob', 'bob'])
      expect(records[0]?.headers.map(([name, value]) => [name, String(value)])).toEqual([
        ['message_type', 'text'],
        ['from_user', 'alice'],
      ])
      expect([...alice.complaints, ...bob.complaints]).toEqual([])
    })

    it('EX-1: a chat survives a restart: what was written meanwhile is sent, what came meanwhile is shown', async () => {
      const { address, restart } = await gatewayStage()
      const alice = await openPage(browser, address)
      const bob = await openPage(browser, address)
      await signIn(alice.page, 'alice')
      await signIn(bob.page, 'bob')
      await alice.page.getByRole('button', { name: 'bob' }).click()
      const restarted = restart()
      await alice.page.locator('#state[data-state="waiting"]').waitFor()
      await alice.page.getByLabel('Message').fill('written without a connection')
      await alice.page.keyboard.press('Enter')
      await restarted
      await alice.page.locator('.is-mine .fate', { hasText: 'stored' }).waitFor()
      await alice.page.locator('#notice', { hasText: 'Connected again' }).waitFor()
      await bob.page.locator('#messages .bubble', { hasText: 'written without a connection' }).waitFor()
      expect(faults([...alice.complaints, ...bob.complaints])).toEqual([])
    })

    it('GW-1: the dashboard shows figures that move, survives a restart, and is shown to nobody without a right to it', async () => {
      const { address, mq, restart } = await gatewayStage()
      const { page, complaints } = await openPage(browser, `${address}/dashboard?token=ann`)
      await page.locator('#state[data-state="open"]').waitFor()
      let n = 0
      const load = setInterval(() => mq.sendAsync('numbers', String(n++)), 5)
      const published = page.locator('.tile', { hasText: 'Records published' }).locator('p')
      const moves = () =>
        eventually(
          'records per second',
          async () => Number.parseFloat((await published.textContent()) ?? '') > 10,
          15_000,
        )
      await moves()
      expect(await page.locator('.tile:not([hidden])').count()).toBe(8)
      expect(await page.locator('.panel:not([hidden])').count()).toBe(4)
      expect(await page.locator('tr', { hasText: 'WebSocket clients' }).locator('td').textContent()).toBe('1')
      const held = deferred<void>() // nothing is done: the lag grows
      await mq.subscribe('numbers', () => held.promise)
      await page.locator('tr', { hasText: 'numbers-1' }).locator('rect').waitFor({ state: 'attached' })
      await restart()
      await page.locator('#state[data-state="open"]').waitFor()
      await moves()
      clearInterval(load)
      held.resolve()
      expect((await fetch(`${address}/dashboard`)).status).toBe(401)
      expect(faults(complaints)).toEqual([])
    })
  },
)
