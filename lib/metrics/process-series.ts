/** The series of the process and its machine (ME-7); they exist while a process monitor is attached. */
import { gauge, type SeriesRow } from './series.js'

/** No zeros: a value that the platform cannot give is absent. */
const LEVEL = { room: 'process', zeros: [] } as const

export const PROCESS_SERIES: readonly SeriesRow[] = [
  gauge('system_cpu_usage_percent', 'CPU in use on this machine.', { process: (of) => of.cpuPercent }, LEVEL),
  gauge('system_memory_usage_percent', 'Memory in use on this machine.', { process: (of) => of.memoryPercent }, LEVEL),
  gauge(
    'disk_usage_percent',
    'Space in use, by file system.',
    { process: (of) => (of.disks ?? []).map((disk) => [[disk.partition, disk.mountpoint], disk.usedPercent]) },
    { ...LEVEL, labels: ['partition', 'mountpoint'] },
  ),
  gauge('network_bytes_sent', 'Bytes sent by this machine.', { process: (of) => of.networkSentBytes }, LEVEL),
  gauge(
    'network_bytes_received',
    'Bytes received by this machine.',
    { process: (of) => of.networkReceivedBytes },
    LEVEL,
  ),
  gauge('runtime_heap_alloc_bytes', 'JavaScript heap in use.', { process: (of) => of.heapBytes }, LEVEL),
  gauge(
    'runtime_active_resources',
    'Timers, sockets and requests that keep the process alive.',
    { process: (of) => of.activeResources },
    LEVEL,
  ),
  gauge(
    'runtime_event_loop_delay_seconds',
    'Mean delay of the event loop.',
    { process: (of) => of.eventLoopDelaySeconds },
    LEVEL,
  ),
]
