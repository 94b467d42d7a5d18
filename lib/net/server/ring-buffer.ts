/** Placeholder of the ring buffer's type until the class is complete. */
export class RingBuffer {}
