/**
 * Errors that leave a room, told to whoever counts them (`errors_total`).
 * Why at the room's edge: an error that is retried, or that becomes another one, was never raised to the outside.
 * Invariant: what is told is thrown on unchanged. Source: features.md part 5.
 */
export type Told = (error: unknown) => void

/** The result of `task`; what it throws is told first. */
export function telling<T>(told: Told, task: () => T): T {
  try {
    return task()
  } catch (error) {
    told(error)
    throw error
  }
}

/** The same for what it rejects with. */
export async function tellingAsync<T>(told: Told, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    told(error)
    throw error
  }
}
