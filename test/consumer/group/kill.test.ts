/**
 * C-39: a consumer that is killed (SIGKILL) again and again skips nothing, and repeats only what came after its last
 * commit: the next process begins exactly where the group's offsets stand. Real processes and sockets; the broker is in
 * this process, so that what is committed when one dies is known and not guessed.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { bench } from '../support.js'

const on = bench()
const CHILD = fileURLToPath(new URL('kill-child.ts', import.meta.url))
const PARTITIONS = 3
const RECORDS = 1_000
const KILLS = 3

class Victim {
  readonly process: ChildProcess
  readonly journal: string
  #count = 0
  #waiting: { readonly count: number; readonly done: () => void } | null = null

  constructor(groupProtocol: string, journal: string) {
    this.journal = journal
    const args = [on.broker.bootstrap, groupProtocol, journal]
    this.process = fork(CHILD, args, { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.process.on('message', () => {
      this.#count++
      if (this.#waiting !== null && this.#count >= this.#waiting.count) this.#waiting.done()
    })
  }

  processed(count: number): Promise<void> {
    return new Promise((done) => {
      this.#waiting = { count, done }
      if (this.#count >= count) done()
    })
  }

  async kill(): Promise<void> {
    const ended = once(this.process, 'exit')
    this.process.kill('SIGKILL')
    await ended
  }

  /** `offset`s by partition, as the process wrote them; the last line may be cut. */
  read(): number[][] {
    const offsets: number[][] = Array.from({ length: PARTITIONS }, () => [])
    for (const line of readFileSync(this.journal, 'utf8').split('\n').slice(0, -1)) {
      const [, partition, offset, value] = /^(\d+)@(\d+)=(\d+)$/.exec(line) ?? []
      expect(value, line).toBe(offset)
      offsets[Number(partition)]?.push(Number(offset))
    }
    return offsets
  }
}

/** Where the group stands; the connections of the dead are gone, so nothing of theirs is under way. */
async function committed(connections: number): Promise<number[]> {
  while (on.broker.connections > connections) await new Promise((resolve) => setImmediate(resolve))
  const { members, offsets } = on.broker.group('g')
  for (const { memberId } of members) on.broker.fence('g', memberId) // Nobody waits for its session to end.
  const stored = new Array<number>(PARTITIONS).fill(0)
  for (const { partition, offset } of offsets) stored[partition] = offset
  return stored
}

it.each(['classic', 'consumer'] as const)(
  `C-39: killed ${KILLS} times (%s): each process begins where the commits of the one before it end`,
  async (groupProtocol) => {
    const folder = mkdtempSync(join(tmpdir(), 'tandem-kill-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const broker = await on.start({ config: { 'group.initial.rebalance.delay.ms': 0 } })
    broker.createTopic('t', { partitions: PARTITIONS })
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let from = 0; from < RECORDS; from += 500) await on.produceNumbers('t', partition, from, 500)
    }
    const idle = broker.connections
    let begin = new Array<number>(PARTITIONS).fill(0)
    let repeated = 0
    for (let round = 0; round <= KILLS; round++) {
      const victim = new Victim(groupProtocol, join(folder, `${round}`))
      onTestFinished(() => void victim.process.kill('SIGKILL'))
      const left = begin.reduce((sum, offset) => sum + RECORDS - offset, 0)
      await victim.processed(round === KILLS ? left : 250 + round * 37)
      await victim.kill()
      const stored = await committed(idle)
      for (const [partition, offsets] of victim.read().entries()) {
        const from = begin[partition] as number
        expect(offsets, `round ${round}, partition ${partition}`).toEqual(offsets.map((_, index) => from + index))
        const end = from + offsets.length
        expect(stored[partition], 'nothing is committed before it was processed').toBeLessThanOrEqual(end)
        expect(stored[partition], 'and nothing is taken back').toBeGreaterThanOrEqual(from)
        if (round === KILLS) expect(end).toBe(RECORDS)
        repeated += end - (stored[partition] as number)
      }
      begin = stored
    }
    expect(repeated, 'the kills came at bad moments').toBeGreaterThan(0)
  },
  60_000,
)
