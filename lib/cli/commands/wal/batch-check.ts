/**
 * What the log says of a batch, against what the batch says of itself. The log copies bytes it does not understand, so a
 * disagreement means that what would be sent is not what was meant to be.
 * A copied frame (RELOC) carries the identity the entry has now, its batch may still carry an older one: the sender
 * fills it in (wal.md 2.5). Source: wal.md 5.
 */
import { MQError, readBatchHeader } from '../../../index.js'

/** Of the prefix of a data frame. */
export interface BatchClaims {
  readonly count: number
  readonly maxTimestampMs: number
  readonly producerId: bigint
  readonly epoch: number
  readonly baseSequence: number
}

/** null: they agree. */
export function batchProblem(claims: BatchClaims, batch: Uint8Array, isCopy: boolean): string | null {
  try {
    const header = readBatchHeader(batch, 0)
    if (header === 'partial') return `its batch is cut off after ${batch.length} B`
    const pairs: (readonly [name: string, claimed: unknown, found: unknown])[] = [
      ['bytes', batch.length, header.sizeInBytes],
      ['magic', 2, header.magic],
      ['records', claims.count, header.count],
      ['max timestamp', claims.maxTimestampMs, header.maxTimestamp],
    ]
    if (!isCopy) {
      pairs.push(
        ['producer id', claims.producerId, header.producerId],
        ['producer epoch', claims.epoch, header.producerEpoch],
        ['base sequence', claims.baseSequence, header.baseSequence],
      )
    }
    const wrong = pairs.find(([, claimed, found]) => claimed !== found)
    if (wrong === undefined) return null
    const [name, claimed, found] = wrong
    return `the log says ${name} ${claimed}, its batch says ${found}`
  } catch (error) {
    // Behind the semicolon stands advice for who fetched it from a broker.
    if (error instanceof MQError) return `its batch is damaged: ${error.message.split(';')[0]}`
    throw error
  }
}
