/**
 * A block of pooled memory together with the two objects that address it, made once.
 * Why: a `Buffer` and a `DataView` cost more to create than a record costs to encode, so they live as long as the block.
 * Invariant: `holders` is the number of owners that still may read or write the bytes; at 0 the arena lies in its pool
 * or is garbage. Only the pool changes it. `generation` rises with each take, so that a stale owner can be told.
 */
export class Arena {
  readonly bytes: Buffer
  readonly view: DataView
  readonly capacity: number // bytes
  /** Owners of this generation: 0 in the pool, 1 after `take`, one more per `retain`. Written by the pool. */
  holders = 0
  /** How often this arena was taken. Written by the pool. */
  generation = 0

  constructor(capacity: number) {
    // allocUnsafeSlow: a block of its own, not a slice of Node's shared pool, which would live as long as its neighbours.
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, capacity)
    this.capacity = capacity
  }
}
