/**
 * What is known of the process and its machine, for the series of ME-7: present levels only.
 * Invariant: a value that the platform cannot give is undefined, and its series has no sample; nothing is invented.
 */
export interface DiskMeasures {
  readonly partition: string
  readonly mountpoint: string
  readonly usedPercent: number
}

export interface ProcessMeasures {
  /** Of all cores together. Percent. */
  readonly cpuPercent?: number | undefined
  readonly memoryPercent?: number | undefined
  readonly disks?: readonly DiskMeasures[] | undefined
  /** Since the machine started, over all interfaces but the loopback. */
  readonly networkSentBytes?: number | undefined
  readonly networkReceivedBytes?: number | undefined
  readonly heapBytes?: number | undefined
  readonly activeResources?: number | undefined
  readonly eventLoopDelaySeconds?: number | undefined
}
