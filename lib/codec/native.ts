/**
 * Loads a codec's package at its first use.
 * Why: a native package may be missing on a platform; that must cost its codec, not the import of this library.
 * Invariant: a package that failed to load fails the same way again, without a second search of the disk.
 */
import { createRequire } from 'node:module'
import { MQError } from '../errors/index.js'

export type Direction = 'COMPRESSION_FAILED' | 'DECOMPRESSION_FAILED'

/** Gives the package, or throws CODEC_UNAVAILABLE under the code of the direction that asked. */
export type Loader<T> = (direction: Direction) => T

export type Require = (name: string) => unknown

const requireHere: Require = createRequire(import.meta.url)

export function lazyPackage<T>(codec: string, name: string, load: Require = requireHere): Loader<T> {
  let loaded: T | undefined
  let failure: unknown
  return (direction) => {
    if (loaded !== undefined) return loaded
    if (failure === undefined) {
      try {
        loaded = load(name) as T
        return loaded
      } catch (error) {
        failure = error ?? new Error('the package threw nothing')
      }
    }
    const text = `codec ${codec} needs the package ${name}, which cannot be loaded here: install it or choose another codec`
    throw new MQError(direction, text, { reason: 'CODEC_UNAVAILABLE', codec, package: name }, { cause: failure })
  }
}
