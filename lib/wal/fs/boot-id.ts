/**
 * What changes with every boot of the machine.
 * Why: after a boot unsynced pages are gone and every owner of before is dead, without one neither is true; no clock
 * can tell. Source: wal.md 2.2, 2.8.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** '' = the system tells none (Windows). */
export function bootIdOf(platform: NodeJS.Platform): string {
  try {
    if (platform === 'linux') return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    if (platform === 'darwin')
      return execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'latin1' }).trim()
  } catch {
    // A jail without /proc: unknown, and every judgement then takes the careful side.
  }
  return ''
}
