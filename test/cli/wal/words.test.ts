/** The small parts of the wal commands: exit codes by error, progress, what a line of a finding says. */
import { describe, expect, it } from 'vitest'
import { batchProblem } from '../../../lib/cli/commands/wal/batch-check.js'
import { WalExit, walExitOf } from '../../../lib/cli/commands/wal/exit-codes.js'
import { exitOf, lineOf } from '../../../lib/cli/commands/wal/findings.js'
import { ScanProgress } from '../../../lib/cli/commands/wal/progress.js'
import { UsageError } from '../../../lib/cli/usage.js'
import { MQError } from '../../../lib/index.js'
import { type Finding, UNBOUND, walError } from '../../../lib/wal/index.js'
import { makeBatch, NOW } from '../../broker/batches.js'

describe('exit codes of wal', () => {
  it.each([
    [new UsageError('wrong'), 5],
    [walError('WAL_CORRUPT', 'damaged'), 2],
    [walError('WAL_LOCKED', 'in use'), 4],
    [walError('WAL_SEGMENT_MISSING', 'gone'), 3],
    [walError('WAL_MANIFEST_MISSING', 'gone'), 3],
    [walError('WAL_VERSION', 'of tomorrow'), 3],
    [walError('WAL_PERMISSION', 'no'), 3],
    [walError('WAL_LOCK_METHOD', 'none'), 3],
    [walError('WAL_FAILED', 'EIO'), 3],
    [new MQError('INVALID_CONFIG', 'a wrong setting'), 5],
    [new MQError('CONNECTION_FAILED', 'nobody answers'), 6],
    [new Error('a defect'), 6],
  ])('wal.md 5: %s', (error, code) => {
    expect(walExitOf(error)).toBe(code)
  })

  it('wal.md 5: of several findings the worst counts; what was dealt with does not', () => {
    const of = (...kinds: Finding['kind'][]) => exitOf(kinds.map((kind) => ({ kind })))
    expect([of(), of('covered', 'unknownOptional'), of('torn'), of('discarded', 'reordered')]).toEqual([0, 0, 1, 1])
    expect([of('torn', 'corrupt'), of('badHeaderCopy'), of('badCheckpoint', 'torn')]).toEqual([2, 2, 2])
    expect(Object.values(WalExit)).toEqual([0, 1, 2, 3, 4, 5, 6])
  })
})

describe('progress of a scan', () => {
  it('WA-6: tells bytes, share, rate and time left', () => {
    let nowMs = 1_000
    const progress = new ScanProgress('verify', () => nowMs)
    expect(progress.text()).toBe('verify: begins')
    nowMs += 2_000
    progress.step({ phase: 'scan', segments: 3, bytes: 50_000_000, totalBytes: 200_000_000, entries: 1_234 })
    expect(progress.text()).toBe(
      'verify: 50.0 MB of 200.0 MB (25 %), 3 segments, 1,234 unsettled batches, 25.0 MB/s, 6 s left',
    )
    progress.step({ phase: 'scan', segments: 0, bytes: 0, totalBytes: 0, entries: 0 })
    expect(progress.text()).toContain('0 B of 0 B (100 %)')
  })
})

describe('a finding as a line', () => {
  const finding: Finding = {
    ...{ kind: 'corrupt', segment: 1, file: 'a.wal', fromByte: 10, toByte: 20, fromLsn: 3, toLsn: 3 },
    ...{ ranges: [], text: 'why' },
  }
  it('wal.md 5: has file, bytes and LSN, as far as there are any', () => {
    expect(lineOf(finding)).toBe('corrupt: a.wal bytes 10..19, LSN 3: why')
    expect(lineOf({ ...finding, toLsn: 5 })).toBe('corrupt: a.wal bytes 10..19, LSN 3..5: why')
    expect(lineOf({ ...finding, toByte: 10, fromLsn: 0, toLsn: -1 })).toBe('corrupt: a.wal byte 10: why')
    expect(lineOf({ ...finding, file: '' })).toBe('corrupt: why')
  })
})

describe('a batch against what the log says of it', () => {
  const identity = { producerId: 7n, epoch: 1, baseSequence: 4 }
  const batch = makeBatch({ values: ['a', 'b'], producerId: 7n, producerEpoch: 1, baseSequence: 4 })
  const claims = { ...identity, count: 2, maxTimestampMs: NOW }

  it('wal.md 5: agrees, bound and unbound', () => {
    expect(batchProblem(claims, batch, false)).toBeNull()
    const unbound = { producerId: UNBOUND, epoch: -1, baseSequence: -1, count: 1, maxTimestampMs: NOW }
    expect(batchProblem(unbound, makeBatch({ values: ['a'] }), false)).toBeNull()
  })

  it.each([
    [{ count: 3 }, 'the log says records 3, its batch says 2'],
    [{ maxTimestampMs: 1 }, `the log says max timestamp 1, its batch says ${NOW}`],
    [{ producerId: 8n }, 'the log says producer id 8, its batch says 7'],
    [{ epoch: 2 }, 'the log says producer epoch 2, its batch says 1'],
    [{ baseSequence: 5 }, 'the log says base sequence 5, its batch says 4'],
  ])('wal.md 5: %o does not', (change, text) => {
    expect(batchProblem({ ...claims, ...change }, batch, false)).toBe(text)
  })

  it('wal.md 2.5: a copied frame may carry a newer identity than its batch', () => {
    expect(batchProblem({ ...claims, producerId: 9n, baseSequence: 0 }, batch, true)).toBeNull()
    expect(batchProblem({ ...claims, count: 1 }, batch, true)).not.toBeNull()
  })

  it('wal.md 5: bytes that are turned over, cut off, or too many are told', () => {
    const turned = Buffer.from(batch)
    turned[70] = (turned[70] as number) ^ 1
    expect(batchProblem(claims, turned, false)).toMatch(/^its batch is damaged: .*CRC-32C is wrong$/)
    expect(batchProblem(claims, batch.subarray(0, 40), false)).toBe('its batch is cut off after 40 B')
    expect(batchProblem(claims, Buffer.concat([batch, Buffer.from([0])]), false)).toContain('the log says bytes')
  })
})
