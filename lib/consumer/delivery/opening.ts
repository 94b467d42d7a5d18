/**
 * Waits for a batch whose codec works in the background; meanwhile the partition has no turn.
 * Invariant: what fails for a position that is not the cursor's any more (a seek, a revocation) concerns nobody.
 */
import type { PartitionCursor } from '../cursor.js'

/** Then the partition goes on (`go`), or its bytes cannot be read where it stands (`unreadable`). */
export function whenOpened(
  cursor: PartitionCursor,
  opening: Promise<void>,
  go: () => void,
  unreadable: (error: unknown) => void,
): void {
  const { generation } = cursor
  cursor.isOpening = true
  cursor.opening = null
  const ended = () => {
    cursor.isOpening = false
    go()
  }
  opening.then(ended, (error: unknown) => {
    if (generation !== cursor.generation) return ended()
    cursor.isOpening = false
    unreadable(error)
  })
}
