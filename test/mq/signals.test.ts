/** Closing on signals, with a process that is not ours to kill. */
import { describe, expect, it } from 'vitest'
import { closeOnSignals, FakeClock } from '../../lib/index.js'

class FakeProcess {
  readonly listeners = new Map<string, () => void>()
  readonly exits: number[] = []
  on(signal: string, listener: () => void): void {
    this.listeners.set(signal, listener)
  }
  off(signal: string): void {
    this.listeners.delete(signal)
  }
  exit(code: number): void {
    this.exits.push(code)
  }
  send(signal: string): void {
    this.listeners.get(signal)?.()
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('closeOnSignals', () => {
  it('FA-4: closes once with the time limit, then exits with 0', async () => {
    const process = new FakeProcess()
    const calls: unknown[] = []
    closeOnSignals({ close: async (options) => void calls.push(options) }, { timeoutMs: 1_000, process })
    expect([...process.listeners.keys()]).toEqual(['SIGINT', 'SIGTERM'])
    process.send('SIGTERM')
    await settled()
    expect(calls).toEqual([{ timeoutMs: 1_000 }])
    expect(process.exits).toEqual([0])
  })

  it('FA-4: exits with 1 when closing fails, also when it throws at once', async () => {
    for (const close of [() => Promise.reject(new Error('no')), () => assertNever()]) {
      const process = new FakeProcess()
      closeOnSignals([{ close }, { close: async () => {} }], { process })
      process.send('SIGINT')
      await settled()
      expect(process.exits).toEqual([1])
    }
  })

  it('FA-4: a second signal ends the process at once', async () => {
    const process = new FakeProcess()
    closeOnSignals({ close: () => new Promise(() => {}) }, { process })
    process.send('SIGINT')
    process.send('SIGTERM')
    expect(process.exits).toEqual([130])
  })

  it('FA-4: something that never closes does not keep the process for ever', async () => {
    const process = new FakeProcess()
    const clock = new FakeClock()
    closeOnSignals({ close: () => new Promise(() => {}) }, { timeoutMs: 1_000, process, clock })
    process.send('SIGINT')
    await settled()
    clock.advance(6_000)
    await settled()
    expect(process.exits).toEqual([1])
  })

  it('FA-4: gives the signals back, and leaves the process alone with exit: false', async () => {
    const process = new FakeProcess()
    const stop = closeOnSignals({ close: async () => {} }, { process, exit: false })
    process.send('SIGTERM')
    await settled()
    expect(process.exits).toEqual([])
    expect(process.listeners.size).toBe(0)
    stop()
  })
})

function assertNever(): Promise<unknown> {
  throw new Error('thrown, not rejected')
}
