/**
 * Leaves a group in bounded time.
 * Why over the connection of the heartbeats: a broker works through one connection in order, so a join that is on its way
 * cannot arrive behind the leave and make a member that nobody plays.
 */
import { findMQError } from '../../../errors/index.js'
import { brokerError, ConsumerGroupHeartbeat, type RequestOf } from '../../../protocol/index.js'
import { backoffMs } from '../../../util/index.js'
import type { MemberParts } from '../member-parts.js'
import { hasLeft, isLacking, judgeHeartbeat } from './verdicts.js'

type Body = RequestOf<typeof ConsumerGroupHeartbeat>

/**
 * True when the coordinator has answered that we are out. Never rejects; a failure is told to the host. `untilMs` is
 * asked anew each time: closing has less patience than leaving for a while.
 */
export async function leaveGroup(parts: MemberParts, body: Body, untilMs: () => number): Promise<boolean> {
  const { config, clock, random, host } = parts
  const { retryBackoffMs, retryBackoffMaxMs } = config.connection
  for (let attempt = 0; ; attempt++) {
    const outcome = await ask(parts, body, untilMs())
    if (outcome === 'left') return true
    const waitMs = backoffMs(attempt, retryBackoffMs, retryBackoffMaxMs, random)
    if (outcome.isFinal || clock.monotonicMs() + waitMs >= untilMs()) {
      const text = `group ${body.groupId} could not be left: its coordinator will notice after the session time`
      host.warn(text, { error: outcome.error })
      return false
    }
    await new Promise<void>((resolve) => clock.setTimer(resolve, waitMs))
  }
}

interface Failure {
  readonly error: unknown
  readonly isFinal: boolean
}

async function ask({ cluster }: MemberParts, body: Body, deadlineMs: number): Promise<'left' | Failure> {
  const { groupId } = body
  try {
    const brokerId = await cluster.coordinator(groupId, { deadlineMs })
    const options = { deadlineMs, purpose: 'group' } as const
    const { errorCode, errorMessage } = await cluster.requestGroup(groupId, ConsumerGroupHeartbeat, body, options)
    if (hasLeft(errorCode)) return 'left'
    const verdict = judgeHeartbeat(errorCode)
    if (verdict === 'lookUp') cluster.forgetCoordinator(groupId, brokerId)
    return { error: brokerError(errorCode, 'CONSUME_FAILED', errorMessage, { groupId }), isFinal: verdict === 'fatal' }
  } catch (error) {
    const known = findMQError(error)
    // A cluster that was closed under us answers nothing any more.
    const isOver = known === undefined || isLacking(known)
    return { error, isFinal: isOver }
  }
}
