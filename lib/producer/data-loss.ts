/** Sequences [from, to] that a broker had acknowledged and has lost. */
export interface DataLoss {
  readonly topic: string
  readonly partition: number
  /** -1: the broker does not tell where the loss begins. */
  readonly from: number
  readonly to: number
}
