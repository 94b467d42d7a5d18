/**
 * A chat message as it stands in the topic `chat-messages`.
 * Why key = `to_user`: Kafka orders per partition, and what one person receives must come in order.
 */
import { randomUUID } from 'node:crypto'

export interface ChatMessage {
  readonly message_id: string
  readonly from_user: string
  readonly to_user: string
  readonly content: string
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly message_type: 'text' | 'system'
}

export function textMessage(fromUser: string, toUser: string, content: string): ChatMessage {
  return {
    message_id: randomUUID(),
    from_user: fromUser,
    to_user: toUser,
    content,
    timestamp: Date.now(),
    message_type: 'text',
  }
}

/** A message as it came over HTTP, checked; a text that says what is wrong otherwise. */
export function parsedMessage(body: unknown): ChatMessage | string {
  if (typeof body !== 'object' || body === null) return 'expected a JSON object'
  const { from_user, to_user, content } = body as Record<string, unknown>
  for (const [name, value] of Object.entries({ from_user, to_user, content })) {
    if (typeof value !== 'string' || value.length < 1 || value.length > 2_000) {
      return `${name}: expected a text of 1..2000 characters`
    }
  }
  return textMessage(from_user as string, to_user as string, content as string)
}
