/**
 * The one buffer a reading works in; kept between readings, because a new one has to be filled with zeros first.
 * Invariant: leased to one reading at a time; a second one at the same time gets its own.
 */
export class WindowBuffer {
  /** Largest buffer. Bytes. */
  static readonly maxBytes = 4 << 20
  static #idle: WindowBuffer | null = null

  readonly bytes: Uint8Array
  readonly view: DataView

  private constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes)
    this.view = new DataView(this.bytes.buffer)
  }

  static lease(bytes: number): WindowBuffer {
    const idle = WindowBuffer.#idle
    if (idle === null || idle.bytes.length < bytes) return new WindowBuffer(bytes)
    WindowBuffer.#idle = null
    return idle
  }

  /** The larger one is kept. */
  release(): void {
    const idle = WindowBuffer.#idle
    if (idle === null || idle.bytes.length < this.bytes.length) WindowBuffer.#idle = this
  }
}
