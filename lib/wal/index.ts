/**
 * The write-ahead log: frames, segments, group commit, local recovery. Bytes only: what a batch is, its owner knows.
 */

export { type WalReason, walError } from './errors.js'
export { FrameType, Outcome, UNBOUND } from './format/constants.js'
export { hostFacts, walParts } from './fs/host-facts.js'
export { nodeWalFs } from './fs/node-fs.js'
export type { Done, FileFacts, FsFacts, LockMethod, Release, WalFs } from './fs.js'
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
