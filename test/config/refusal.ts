/** What a refused configuration says. */
import { expect } from 'vitest'
import type { ConfigIssue } from '../../lib/config/index.js'
import { MQError } from '../../lib/errors/index.js'

export function refusal(action: () => unknown): MQError {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(MQError)
    return error as MQError
  }
  throw new Error('expected a refusal, but the configuration was taken')
}

export const issuesOf = (error: MQError) => error.context.issues as readonly ConfigIssue[]
