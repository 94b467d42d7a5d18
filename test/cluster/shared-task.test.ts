import { describe, expect, it } from 'vitest'
import { SharedTask } from '../../lib/cluster/shared-task.js'
import { type Deferred, deferred, FakeClock } from '../../lib/util/index.js'

function make() {
  const clock = new FakeClock()
  const runs: Deferred<void>[] = []
  const task = new SharedTask(
    () => {
      const run = deferred<void>()
      runs.push(run)
      return run.promise
    },
    clock,
    100,
  )
  return { clock, runs, task }
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('SharedTask', () => {
  it('W-24: one run at a time; who asks during a run shares the next one', async () => {
    const { clock, runs, task } = make()
    const first = task.ask()
    const later = [task.ask(), task.ask(), task.ask()]
    expect(runs.length).toBe(1)
    runs[0]?.resolve()
    await first
    clock.advance(100)
    expect(runs.length).toBe(2)
    let isDone = false
    void Promise.all(later).then(() => {
      isDone = true
    })
    await turn()
    expect(isDone).toBe(false)
    runs[1]?.resolve()
    await turn()
    expect([isDone, runs.length, clock.pendingTimers]).toEqual([true, 2, 0])
  })

  it('W-24: runs begin at least the gap apart', async () => {
    const { clock, runs, task } = make()
    void task.ask()
    runs[0]?.resolve()
    await turn()
    void task.ask()
    clock.advance(99)
    expect(runs.length).toBe(1)
    clock.advance(1)
    expect(runs.length).toBe(2)
  })

  it('a new question does not wait out the gap, also when it is asked during a run; what follows does again', async () => {
    const { clock, runs, task } = make()
    void task.ask()
    void task.askNow()
    void task.ask()
    expect(runs.length).toBe(1)
    runs[0]?.resolve()
    await turn()
    expect(runs.length).toBe(2)
    runs[1]?.resolve()
    await turn()
    void task.ask()
    await turn()
    expect(runs.length).toBe(2)
    void task.askNow()
    expect([runs.length, clock.pendingTimers]).toEqual([3, 0])
    runs[2]?.resolve()
    await turn()
    void task.ask()
    clock.advance(99)
    expect(runs.length).toBe(3)
  })

  it('a failure reaches its askers, and the next run starts afresh', async () => {
    const { clock, runs, task } = make()
    const first = task.ask()
    runs[0]?.reject(new Error('broken'))
    await expect(first).rejects.toThrow('broken')
    const second = task.ask()
    clock.advance(100)
    runs[1]?.resolve()
    await second
  })

  it('stop: waiting and later askers are told, and no timer is left', async () => {
    const { clock, runs, task } = make()
    void task.ask()
    runs[0]?.resolve()
    await turn()
    const waiting = task.ask()
    task.stop(new Error('closed'))
    await expect(waiting).rejects.toThrow('closed')
    await expect(task.ask()).rejects.toThrow('closed')
    expect(clock.pendingTimers).toBe(0)
  })
})
