/** Signature first; the body follows. */
import type { WalFs } from '../fs.js'
import type { RecoveryProgress } from '../types.js'
import type { Survey } from './findings.js'

export type { Finding, FindingKind, SegmentSurvey, Survey, SurveyEnd } from './findings.js'
export { holeOf } from './findings.js'

export interface SurveyOptions {
  /** Of this machine now; '' = unknown, which counts as changed. */
  readonly bootId: string
  /** Checks bodies even where the last owner said goodbye. */
  readonly verifyBodies: boolean
  readonly indexMaxBytes: number
  readonly onProgress?: (step: RecoveryProgress) => void
}

export function survey(_fs: WalFs, _dir: string, _options: SurveyOptions): Promise<Survey> {
  return Promise.reject(new Error('not written yet'))
}
