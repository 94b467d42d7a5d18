/** Waits that a signal can end. The task itself goes on to its own end; nobody hears of it any more. */
export function unlessAborted<T>(task: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return task
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    task.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
