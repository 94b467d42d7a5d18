/**
 * C-24: Java and tandem-mq share one classic group, whoever leads it and whatever they agreed on.
 * What is claimed: all come to rest with level shares, each partition has one owner, and with `cooperative-sticky` no
 * partition has two at any instant. Times are of one machine's clock, since all members run on it.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import type { AssignorName } from '../../lib/config/index.js'
import { Consumer } from '../../lib/consumer/index.js'
import { eventually } from '../support/eventually.js'
import { bootstrap, createTopic, describeWithKafka, jarFolder } from '../support/real-kafka.js'

const PARTITIONS = 6
const LIMIT_MS = 30_000
const JAVA_MEMBER = fileURLToPath(new URL('../support/JavaGroupMember.java', import.meta.url))
const JAVA_CLASS: Record<AssignorName, string> = {
  range: 'RangeAssignor',
  roundrobin: 'RoundRobinAssignor',
  sticky: 'StickyAssignor',
  'cooperative-sticky': 'CooperativeStickyAssignor',
}

/** Since `fromMs`, until `toMs` (Infinity: still). */
interface Ownership {
  readonly member: string
  readonly partition: number
  readonly fromMs: number
  toMs: number
}

class Ledger {
  readonly ownerships: Ownership[] = []

  take(member: string, partitions: readonly number[], atMs: number): void {
    for (const partition of partitions) {
      this.ownerships.push({ member, partition, fromMs: atMs, toMs: Number.POSITIVE_INFINITY })
    }
  }

  give(member: string, partitions: readonly number[], atMs: number): void {
    for (const one of this.ownerships) {
      if (one.member === member && partitions.includes(one.partition)) one.toMs = Math.min(one.toMs, atMs)
    }
  }

  giveAll(member: string): void {
    this.give(member, [...Array(PARTITIONS).keys()], Date.now())
  }

  sizes(): Record<string, number> {
    const sizes: Record<string, number> = {}
    for (const { member, toMs } of this.ownerships) {
      sizes[member] = (sizes[member] ?? 0) + (toMs === Number.POSITIVE_INFINITY ? 1 : 0)
    }
    return Object.fromEntries(Object.entries(sizes).filter(([, size]) => size > 0))
  }

  /** What two members owned at one time. */
  overlaps(): string[] {
    return this.ownerships.flatMap((a, index) =>
      this.ownerships
        .slice(index + 1)
        .filter((b) => b.partition === a.partition && a.fromMs < b.toMs && b.fromMs < a.toMs)
        .map((b) => `${a.partition}: ${a.member} ${a.fromMs}..${a.toMs}, ${b.member} ${b.fromMs}..${b.toMs}`),
    )
  }
}

interface Member {
  leave(): Promise<void>
}

describeWithKafka('C-24: Java and tandem-mq in one classic group', () => {
  const members: Member[] = []
  afterEach(async () => {
    for (const member of members.splice(0)) await member.leave()
  })

  async function tandem(name: string, topic: string, assignor: AssignorName, ledger: Ledger): Promise<Member> {
    const consumer = new Consumer({
      brokers: bootstrap,
      groupId: `${topic}-group`,
      groupProtocol: 'classic',
      assignors: [assignor],
      heartbeatIntervalMs: 200,
      autoOffsetReset: 'earliest',
    })
    const numbers = (partitions: readonly { partition: number }[]) => partitions.map(({ partition }) => partition)
    consumer.on('assigned', ({ partitions }) => ledger.take(name, numbers(partitions), Date.now()))
    consumer.on('revoked', ({ partitions }) => ledger.give(name, numbers(partitions), Date.now()))
    consumer.on('lost', ({ partitions }) => ledger.give(name, numbers(partitions), Date.now()))
    await consumer.subscribe(topic, () => {})
    return added({ leave: () => consumer.close() })
  }

  async function java(name: string, topic: string, assignor: AssignorName, ledger: Ledger): Promise<Member> {
    const flags = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(jarFolder ?? '', '*')]
    const strategy = `org.apache.kafka.clients.consumer.${JAVA_CLASS[assignor]}`
    const child = spawn('java', [...flags, JAVA_MEMBER, bootstrap, `${topic}-group`, topic, strategy])
    readLines(child, (line) => {
      const [what, atMs, names = ''] = line.split(' ')
      const partitions = names.split(',').map((tp) => Number(tp.slice(tp.lastIndexOf('-') + 1)))
      if (names === '') return
      if (what === 'assigned') ledger.take(name, partitions, Number(atMs))
      else ledger.give(name, partitions, Number(atMs))
    })
    return added({
      leave: async () => {
        if (child.exitCode !== null) return
        const ended = once(child, 'exit')
        child.stdin.end('leave\n')
        await ended
        ledger.giveAll(name) // what it had at the end is nobody's now
      },
    })
  }

  function added(member: Member): Member {
    members.push(member)
    return member
  }

  async function rest(ledger: Ledger, sizes: Record<string, number>): Promise<void> {
    const isThere = () => JSON.stringify(sorted(ledger.sizes())) === JSON.stringify(sorted(sizes))
    await eventually(`shares are ${JSON.stringify(sizes)}`, isThere, LIMIT_MS, () => JSON.stringify(ledger.sizes()))
  }

  const names = ['cooperative-sticky', 'sticky', 'range', 'roundrobin'] as const
  it.skipIf(jarFolder === null).each(names)(
    'C-24: %s, Java leads, then tandem-mq does',
    async (assignor) => {
      const topic = await createTopic(`mixed-${assignor}`, { partitions: PARTITIONS })
      const ledger = new Ledger()
      const first = await java('java 1', topic, assignor, ledger)
      await rest(ledger, { 'java 1': 6 })
      await tandem('ours 1', topic, assignor, ledger)
      await rest(ledger, { 'java 1': 3, 'ours 1': 3 })
      await tandem('ours 2', topic, assignor, ledger)
      await rest(ledger, { 'java 1': 2, 'ours 1': 2, 'ours 2': 2 })
      await first.leave()
      await rest(ledger, { 'ours 1': 3, 'ours 2': 3 })
      await java('java 2', topic, assignor, ledger)
      await rest(ledger, { 'ours 1': 2, 'ours 2': 2, 'java 2': 2 })
      expect(ledger.overlaps()).toEqual([])
      if (assignor !== 'cooperative-sticky') return
      // Six at first, 3 to the second, 2 to the third, 2 of the leaver to the others, 2 to the last: no more was moved.
      expect(ledger.ownerships).toHaveLength(6 + 3 + 2 + 2 + 2)
    },
    120_000,
  )
})

function sorted(sizes: Record<string, number>): [string, number][] {
  return Object.entries(sizes).sort(([a], [b]) => (a < b ? -1 : 1))
}

function readLines(child: ChildProcessWithoutNullStreams, onLine: (line: string) => void): void {
  let rest = ''
  child.stdout.on('data', (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
  child.stderr.resume()
}
