/** The options of `tandem-mq wal`, as commander gives them. */
import type { ClusterFlags } from '../../settings.js'
import { UsageError } from '../../usage.js'

export interface WalFlags extends ClusterFlags {
  readonly dir?: string
}

export interface RecoverFlags extends WalFlags {
  readonly onAmbiguous?: string
  readonly stream?: readonly string[]
  readonly export?: string
}

/** What becomes of records that nobody can decide about. */
export type Ambiguous = 'hold' | 'drop' | 'resend'

export interface StreamName {
  readonly topic: string
  readonly partition: number
}

export interface RepairFlags extends WalFlags {
  readonly apply?: boolean
  readonly rebuildManifest?: boolean
  readonly owner?: string
  readonly quarantine?: boolean
  readonly acceptMissing?: string
  readonly relock?: boolean | string
}

/** Every command needs the directory; there is no default, since a wrong guess would look at somebody else's log. */
export function dirOf({ dir }: WalFlags): string {
  if (dir === undefined || dir === '') throw new UsageError('--dir: name the directory of the log (wal.dir)')
  return dir
}
