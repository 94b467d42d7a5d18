import { describe, expect, it } from 'vitest'
import { InFlightWindow } from '../../lib/producer/in-flight-window.js'

describe('InFlightWindow', () => {
  it('PR-13, P-21: lets one batch pass until the present leader has acknowledged one, then five', () => {
    const window = new InFlightWindow(5, true)
    window.towards(1, 7)
    window.take()
    expect(window.hasRoom()).toBe(false)
    window.release()
    window.acknowledged(1, 7)
    for (let batch = 0; batch < 5; batch++) {
      window.towards(1, 7)
      expect(window.hasRoom()).toBe(true)
      window.take()
    }
    expect(window.hasRoom()).toBe(false)
  })

  it('P-21: another leader, another leader epoch or a retry closes the gate again', () => {
    for (const close of [
      (window: InFlightWindow) => window.towards(2, 8),
      (window: InFlightWindow) => window.towards(1, 8),
      (window: InFlightWindow) => window.close(),
    ]) {
      const window = new InFlightWindow(5, true)
      window.acknowledged(1, 7)
      expect(window.isOpen).toBe(true)
      close(window)
      expect(window.isOpen).toBe(false)
      window.take()
      expect(window.hasRoom()).toBe(false)
    }
  })

  it('PR-14: without idempotence there is no gate', () => {
    const window = new InFlightWindow(3, false)
    for (let batch = 0; batch < 3; batch++) window.take()
    expect(window.hasRoom()).toBe(false)
  })

  it('a release too many is our defect and says so', () => {
    expect(() => new InFlightWindow(5, true).release()).toThrow(/more attempts ended than began/)
  })
})
