/**
 * (signatures first)
 */
import type { MQError } from '../../../errors/index.js'
import type { TopicPartition } from '../../cursor.js'
import type { CommittedOffset, OffsetsParts, OffsetToCommit } from './offsets.js'

export class Committer {
  constructor(parts: OffsetsParts) {
    void parts
  }

  /** Resolves when all are stored; rejects with OFFSET_COMMIT_FAILED, whose `context.partitions` names those that are not. */
  commit(offsets: readonly OffsetToCommit[], deadlineMs: number): Promise<void> {
    return Promise.reject([offsets, deadlineMs])
  }

  /** One place per partition: its offset, null without one, or the error of that partition alone (denied, unknown). */
  committed(
    partitions: readonly TopicPartition[],
    deadlineMs: number,
  ): Promise<readonly (CommittedOffset | MQError | null)[]> {
    return Promise.reject([partitions, deadlineMs])
  }

  /** They are not ours any more (revoked, lost): what waits for them is given up and nothing is repeated. */
  forget(partitions: readonly TopicPartition[]): void {
    void partitions
  }

  /** Rejects what waits with CONSUMER_CLOSED; leaves no timer. */
  close(): void {}
}
