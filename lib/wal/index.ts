/**
 * The write-ahead log: frames, segments, group commit, local recovery. Bytes only: what a batch is, its owner knows.
 */

export { type WalReason, walError } from './errors.js'
export { type BatchPrefixFacts, decodeBatchPrefix } from './format/bodies/batch-prefix.js'
export type { OpenBody } from './format/bodies/open.js'
export { BATCH_PREFIX_BYTES, FrameType, Outcome, UNBOUND } from './format/constants.js'
export type { Manifest } from './format/manifest.js'
export { hostFacts, walParts } from './fs/host-facts.js'
export { nodeWalFs } from './fs/node-fs.js'
export type { Done, FileFacts, FsFacts, LockMethod, Release, WalFs } from './fs.js'
export type { LockOwner } from './lock/owner-text.js'
export { type FrameView, readFrames, type SegmentReading } from './read/frames.js'
export {
  type Finding,
  type FindingKind,
  type SegmentSurvey,
  type Survey,
  type SurveyEnd,
  type SurveyOptions,
  survey,
} from './read/survey.js'
export { planAcceptMissing } from './repair/accept-missing.js'
export { lockOwnerOf } from './repair/lock-owner.js'
export type { RepairPlan, RepairReport } from './repair/plan.js'
export { planRebuildManifest } from './repair/rebuild-manifest.js'
export { planRelock } from './repair/relock.js'
export { EntryItems, ITEM_LENGTH_BYTES, type Ranges } from './spill/entry-items.js'
export type { SpillLogOptions } from './spill/options.js'
export { openSpillLog } from './spill/wal-spill-log.js'
export type { LogTables } from './state/tables.js'
export type {
  AckedIdentity,
  AppendedEntry,
  Entry,
  HoleFacts,
  HoleVerdict,
  HostFacts,
  IdentityFacts,
  LogDurability,
  RecoveredLog,
  RecoveryProgress,
  StreamFacts,
  Wal,
  WalEvents,
  WalMeasures,
  WalOptions,
  WalOwner,
  WalParts,
  WalState,
} from './types.js'
export { GROUP_RECORDS } from './write/gauges.js'
export { WriteAheadLog } from './write-ahead-log.js'
