/** That something throws, or rejects with, an MQError of that code whose text has these parts. */
import { expect } from 'vitest'
import { type ErrorCode, MQError } from '../../lib/errors/index.js'

export function expectMQError(run: () => unknown, code: ErrorCode, ...parts: string[]): void {
  let thrown: unknown
  try {
    run()
  } catch (error) {
    thrown = error
  }
  check(thrown, code, parts)
}

export async function expectRejection(promise: Promise<unknown>, code: ErrorCode, ...parts: string[]): Promise<void> {
  check(
    await promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
    code,
    parts,
  )
}

function check(error: unknown, code: ErrorCode, parts: readonly string[]): void {
  expect(error).toBeInstanceOf(MQError)
  expect((error as MQError).code).toBe(code)
  for (const part of parts) expect((error as MQError).message).toContain(part)
}
