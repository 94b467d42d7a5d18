/** A simulated disk for the log's tests: every crash, every fault, no file. */
export { type CrashKind, CrashStates } from './crash-states.js'
export { type Call, type CallKind, type DiskOptions, type Flight, type Image, SimDisk } from './disk.js'
export { type Answer, ERRNOS, type Errno, failCall, failNth, fault, type Inject, lie } from './faults.js'
export { type ImageFile, SimFile } from './file.js'
export { listEvents, listLogger, type SimParts, simOptions, simParts, type Told, WAL_DIR } from './host.js'
export { Pump, turn } from './pump.js'
export { type Sector, sectorOf, TEAR_KINDS, tear, zeroSector } from './sector.js'
