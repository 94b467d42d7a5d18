import type { QueueOptions } from './types.js'
export class BatchQueue<T> {
  constructor(_options: QueueOptions<T>) {}
}
