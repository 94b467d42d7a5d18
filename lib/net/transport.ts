/**
 * The one seam between bytes and sockets.
 * Why: `cluster` and `broker` see frames going out and coming in; tests hand them a pair of arrays instead.
 * Invariant: after `onClosed` nothing of ours is referenced by the socket, so arenas may be reused (kafka.md W-13).
 */
import type { MQError } from '../errors/index.js'

export interface Transport {
  /**
   * Sends all chunks in one gathered write; they are not copied and must stay unchanged until `onFlushed` or
   * `onClosed`. Returns false when the socket is full: wait for `onDrain`. After the end it does nothing.
   * `onFlushed` runs when the operating system took every byte of this call, and never after the transport was destroyed.
   */
  write(chunks: readonly Uint8Array[], onFlushed?: () => void): boolean
  /** One frame WITHOUT its int32 size. The receiver owns the bytes: they are never reused. */
  onFrame: (frame: Uint8Array) => void
  /** `write` returned false before, and everything has been taken since. */
  onDrain: () => void
  /** Exactly once, after the socket is destroyed and all its write callbacks have fired. */
  onClosed: (reason: MQError) => void
  /** False from the first sign of the end on, also before `onClosed`. */
  readonly isOpen: boolean
  /** Bytes handed to `write` that the operating system has not taken yet. */
  readonly pendingBytes: number
  /** The peer as host:port, for logs and errors. */
  readonly remote: string
  /** Bytes of complete or partial frames read so far, sizes included. */
  readonly bytesRead: number
  /** Stops reading: the peer meets a full window, nothing is lost. */
  pause(): void
  resume(): void
  /** Ends the connection without waiting for pending bytes. The first reason counts. */
  destroy(reason: MQError): void
}

/** The int32 size in front of each frame. */
export const SIZE_BYTES = 4
/** Bytes pending in user space from which `write` says "full". Enough for a request of ordinary size to be queued
 * behind another; a produce request of megabytes fills it alone, so that batches grow instead of requests (P-10). */
export const WRITE_BUFFER_BYTES = 256 * 1024
