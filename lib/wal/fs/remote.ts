/**
 * Which file systems are on another machine or in somebody's process.
 * Why: the log's promises rest on a kernel that locks, orders and flushes itself; NFS, SMB and FUSE each break one of
 * the three (a lock that is lost with a session, a flush that is the server's secret, a sync that is not passed on).
 * Source: statfs(2) and linux/magic.h; wal.md 2.1.
 */

/** f_type of statfs on Linux. */
const REMOTE_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0x73757245, 'coda'],
  [0x5346414f, 'afs'],
  [0x6b414653, 'kafs'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
  [0x47504653, 'gpfs'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
  [0x19830326, 'beegfs'],
  [0x564c, 'ncp'],
  [0x786f4256, 'vboxsf'],
  [0xbacbacbc, 'vmhgfs'],
  [0x7c7c6366, 'prlfs'],
])

/**
 * Name of the network or FUSE file system, null for a local one. Elsewhere than on Linux the numbers mean other things
 * and only a path may tell.
 */
export function remoteNameOf(platform: NodeJS.Platform, type: number, path: string): string | null {
  if (platform === 'linux') return REMOTE_TYPES.get(type >>> 0) ?? null
  if (platform === 'win32' && /^(\\\\|\/\/)(?![.?][\\/])/.test(path)) return 'smb'
  return null
}
