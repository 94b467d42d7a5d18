/**
 * Enumerates what a crash at this moment can leave, and has each state that was not seen before judged.
 * States are told apart by content and kind of crash. One that was seen is judged again when more has been promised
 * since: the same bytes that were fine before a promise may be a loss after it.
 */
import type { RandomSource } from '../../../lib/util/index.js'
import { type CrashKind, CrashStates, type Image, type SimDisk } from '../../support/wal-sim/index.js'
import type { LogModel } from './model.js'

export interface CrashState {
  readonly crash: CrashKind
  readonly image: Image
  /** Where it was picked from; null: not picked. */
  readonly states: CrashStates | null
  readonly picks: Uint16Array
  readonly torn: CrashStates['torn']
  /** In words: what was lost. */
  describe(): string[]
}

/** Picks of one moment that are all enumerated; where there are more, how many are sampled. */
export interface ExploreLimits {
  readonly allUpTo: number
  readonly sampleOf: number
}

export type Judge = (state: CrashState, model: LogModel) => Promise<string | null>

export interface Failure {
  readonly text: string
  readonly state: CrashState
}

const KINDS: readonly CrashKind[] = ['kill', 'power']

export class Explorer {
  /** Picks looked at, states with a content of their own, judgements. */
  picks = 0
  distinct = 0
  judged = 0
  readonly #judge: Judge
  readonly #limits: ExploreLimits
  readonly #random: RandomSource
  readonly #seen: Record<CrashKind, Set<number>> = { kill: new Set(), power: new Set() }
  readonly #judged: Record<CrashKind, Set<number>> = { kill: new Set(), power: new Set() }
  readonly #version: Record<CrashKind, number> = { kill: -1, power: -1 }

  constructor(judge: Judge, limits: ExploreLimits, random: RandomSource) {
    this.#judge = judge
    this.#limits = limits
    this.#random = random
  }

  /** Judges every new state of this moment, at most `most`; the first failure ends it. */
  async explore(disk: SimDisk, model: LogModel, most = Number.POSITIVE_INFINITY): Promise<Failure | null> {
    for (const crash of KINDS) {
      for (const found of this.#collect(disk, crash, model, most)) {
        const state = found()
        this.judged++
        const text = await this.#judge(state, model)
        if (text !== null) return this.#shortest({ text, state }, model)
      }
    }
    return null
  }

  /** Gives back whatever need not be lost for the same kind of failure. */
  async #shortest(failure: Failure, model: LogModel): Promise<Failure> {
    let best = failure
    const { states, picks } = failure.state
    if (states === null) return best
    for (let at = 0; at < picks.length; at++) {
      const last = (states.choices[at]?.options ?? 1) - 1
      if (picks[at] === last || best.state.torn?.choice === at) continue
      const picked = best.state.picks.slice()
      picked[at] = last
      states.picks.set(picked)
      states.torn = best.state.torn
      if (Number.isNaN(states.hash())) continue
      const state = stateOf(states, failure.state.crash)
      const text = await this.#judge(state, model)
      if (text !== null) best = { text, state }
    }
    return best
  }

  /** Images are made one at a time, when it is their turn: thousands of them would only be moved about. */
  #collect(disk: SimDisk, crash: CrashKind, model: LogModel, most: number): (() => CrashState)[] {
    const states = new CrashStates(disk, crash)
    const seen = this.#seen[crash]
    const judged = this.#judged[crash]
    if (this.#version[crash] !== model.versionFor(crash)) judged.clear()
    this.#version[crash] = model.versionFor(crash)
    const found: (() => CrashState)[] = []
    const { allUpTo, sampleOf } = this.#limits
    const limit = states.combinations <= allUpTo ? allUpTo : sampleOf
    states.forEach(limit, this.#random, () => {
      this.picks++
      if (found.length >= most) return
      const hash = states.hash()
      if (Number.isNaN(hash) || judged.has(hash)) return
      judged.add(hash)
      if (!seen.has(hash)) {
        seen.add(hash)
        this.distinct++
      }
      const picks = states.picks.slice()
      const { torn } = states
      found.push(() => stateAt(states, picks, torn, crash))
    })
    return found
  }
}

function stateAt(states: CrashStates, picks: Uint16Array, torn: CrashStates['torn'], crash: CrashKind): CrashState {
  states.picks.set(picks)
  states.torn = torn
  return stateOf(states, crash)
}

function stateOf(states: CrashStates, crash: CrashKind): CrashState {
  const picks = states.picks.slice()
  const { torn } = states
  const describe = () => {
    states.picks.set(picks)
    states.torn = torn
    return states.describe()
  }
  return { crash, image: states.image(), states, picks, torn, describe }
}
