/** Waits that a signal can end. The task itself goes on to its own end; nobody hears of it any more. */
import { MQError } from '../errors/index.js'

export function unlessAborted<T>(task: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return task
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    task.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Before anything is begun: what cannot be listened to would leave a task behind that nobody hears of. INVALID_CONFIG. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw new MQError('INVALID_CONFIG', `signal: expected an AbortSignal, got ${typeof signal}`, { path: 'signal' })
}
