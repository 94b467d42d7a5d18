/**
 * Every error code and every reason, met as a user meets it: through the public API, on a broker in this process.
 * Why a table: a code that nobody can provoke is dead, one that says nothing is useless, and both show here.
 */
import { describe, expect, it } from 'vitest'
import { ERROR_CODES, ERROR_REASONS, type ErrorReason } from '../../lib/index.js'
import { CODE_ROWS } from './part-four.js'
import { AUTH_ROWS, CONFIG_ROWS, CONNECTION_ROWS, TIMEOUT_ROWS } from './provoked/connection-rows.js'
import { CONSUMER_ROWS, GROUP_ROWS } from './provoked/consumer-rows.js'
import { PRODUCER_ROWS, TOPIC_ROWS } from './provoked/producer-rows.js'
import { expectError, expectNoSecrets, PASSWORD, type Row, Scene } from './provoked/scene.js'

/** Reasons that nothing in this version raises, and why. */
const LATER = {
  QUEUE_NOT_STARTED: 'BatchQueue comes with its own issue',
  QUEUE_STOPPED: 'BatchQueue comes with its own issue',
  SEND_FAILED: 'what the sender function of a BatchQueue refused: comes with it',
  WAL_CLUSTER_MISMATCH: 'the write-ahead log comes with its own issue',
  WAL_CORRUPT: 'the write-ahead log comes with its own issue',
  WAL_FAILED: 'the write-ahead log comes with its own issue',
  WAL_FRAME_TOO_LARGE: 'the write-ahead log comes with its own issue',
  WAL_FULL: 'the write-ahead log comes with its own issue',
  WAL_LOCKED: 'the write-ahead log comes with its own issue',
  WAL_LOCK_METHOD: 'the write-ahead log comes with its own issue',
  WAL_MANIFEST_MISSING: 'the write-ahead log comes with its own issue',
  WAL_NETWORK_FS: 'the write-ahead log comes with its own issue',
  WAL_PERMISSION: 'the write-ahead log comes with its own issue',
  WAL_SEGMENT_MISSING: 'the write-ahead log comes with its own issue',
  WAL_VERSION: 'the write-ahead log comes with its own issue',
} as const satisfies Partial<Record<ErrorReason, string>>

const ROWS: readonly Row[] = [
  ...CONNECTION_ROWS,
  ...CONFIG_ROWS,
  ...PRODUCER_ROWS,
  ...CONSUMER_ROWS,
  ...TOPIC_ROWS,
  ...AUTH_ROWS,
  ...TIMEOUT_ROWS,
  ...GROUP_ROWS,
]

describe('the look for secrets', () => {
  it.each([
    PASSWORD,
    new Error(PASSWORD),
    { deep: [{ buffer: Buffer.from(PASSWORD).toString('base64') }] },
    new Error('outer', { cause: new Error(`said ${encodeURIComponent(PASSWORD)}`) }),
  ])('CL-6: finds it in %s', (said) => {
    expect(() => expectNoSecrets([said])).toThrow(/says/)
  })
})

describe('the table', () => {
  it('ER-1: has a row for every code', () => {
    const codes = new Set(ROWS.map(({ code }) => code))
    expect(ERROR_CODES.filter((code) => !codes.has(code))).toEqual([])
    expect(codes.size).toBe(31)
  })

  it('ER-1: has a row for every reason that this version can raise, and none for the others', () => {
    const reasons = new Set(ROWS.flatMap(({ reason }) => (reason === undefined ? [] : [reason])))
    const isLater = (reason: ErrorReason) => Object.hasOwn(LATER, reason)
    expect(ERROR_REASONS.filter((reason) => !isLater(reason) && !reasons.has(reason))).toEqual([])
    expect([...reasons].filter(isLater)).toEqual([])
  })
})

describe.each(ROWS.map((row) => [`${row.code}${row.reason === undefined ? '' : `/${row.reason}`}`, row] as const))(
  '%s',
  (_name, row) => {
    it(`ER-1: who ${row.how}`, async () => {
      const scene = new Scene(row.isDriven)
      const thrown = await row.provoke(scene)
      const [family, , retryable, fatal] = CODE_ROWS.find(([, code]) => code === row.code) as (typeof CODE_ROWS)[number]
      expectError(thrown, row, family, retryable, fatal)
      expectNoSecrets(scene.said)
    })
  },
)
