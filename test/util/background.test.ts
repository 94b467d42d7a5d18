import { describe, expect, it } from 'vitest'
import { AssertionError, assert, deferred, runInBackground } from '../../lib/util/index.js'

describe('runInBackground', () => {
  it('reports a rejection under the name of the task', async () => {
    const reported = deferred<[string, unknown]>()
    const boom = new Error('boom')
    runInBackground(
      'refresh',
      () => Promise.reject(boom),
      (name, error) => reported.resolve([name, error]),
    )
    expect(await reported.promise).toEqual(['refresh', boom])
  })

  it('reports a throw before the first await, and does not throw itself', async () => {
    const reported = deferred<unknown>()
    const boom = new Error('boom')
    const task = () => {
      throw boom
    }
    expect(() => runInBackground('refresh', task, (_name, error) => reported.resolve(error))).not.toThrow()
    expect(await reported.promise).toBe(boom)
  })

  it('reports nothing when all is well', async () => {
    const done = deferred<void>()
    runInBackground(
      'refresh',
      async () => done.resolve(),
      () => expect.unreachable('nothing failed'),
    )
    await done.promise
  })
})

describe('assert', () => {
  it('throws a defect of ours, never an error of the user', () => {
    expect(() => assert(true, 'fine')).not.toThrow()
    expect(() => assert(false, 'a buffer was released twice')).toThrow(AssertionError)
    expect(() => assert(false, 'a buffer was released twice')).toThrow('tandem-mq defect: a buffer was released twice')
  })
})
