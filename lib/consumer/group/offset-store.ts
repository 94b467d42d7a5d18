/** What a session needs of the committer: four verbs, so that tests script no more. */
import type { Committer } from './offsets/committer.js'

export type OffsetStore = Pick<Committer, 'commit' | 'committed' | 'forget' | 'close'>
