/**
 * The chat service: messages go out through a producer, come back through a consumer group, and reach who listens: programs
 * as server-sent events. Web pages are served by the gateway, from the same topic.
 * Invariant: what one person receives comes in the order in which it was sent (key = `to_user`).
 */
import { json, MQ, type RecordMetadata, type RecordView } from 'tandem-mq'
import type { ChatMessage } from './message.js'

export const TOPIC = 'chat-messages'
const PARTITIONS = 3
const RETENTION_MS = 604_800_000 // seven days
const KEPT_PER_USER = 100 // messages shown to somebody who opens the page

export type Listener = (message: ChatMessage) => void

export class ChatService {
  readonly mq: MQ<ChatMessage, string>
  readonly #received = new Map<string, ChatMessage[]>()
  readonly #listeners = new Map<string, Set<Listener>>()
  #total = 0

  constructor(brokers: string) {
    const serializer = json<ChatMessage>()
    this.mq = new MQ<ChatMessage, string>({
      brokers,
      clientId: 'chat',
      producer: { valueSerializer: serializer },
      consumer: { groupId: 'chat.delivery.group', autoOffsetReset: 'earliest', valueDeserializer: serializer },
    })
    this.mq.on('error', (error) => console.error(String(error)))
  }

  /** Messages that came back from Kafka since the start. */
  get total(): number {
    return this.#total
  }

  async start(): Promise<void> {
    await this.mq.admin.createTopic({
      name: TOPIC,
      partitions: PARTITIONS,
      configs: { 'retention.ms': String(RETENTION_MS) },
    })
    await this.mq.subscribe(TOPIC, (record) => this.#deliver(record))
  }

  /** Resolves when Kafka has the message. */
  send(message: ChatMessage): Promise<RecordMetadata> {
    return this.mq.sendSync(TOPIC, message, optionsOf(message))
  }

  /** Returns at once; `told` hears how it ended. */
  sendAsync(message: ChatMessage, told: (error: Error | null) => void): boolean {
    return this.mq.sendAsync(TOPIC, message, optionsOf(message), told)
  }

  /** Many at once; the number that Kafka has refused. */
  async sendAll(messages: readonly ChatMessage[]): Promise<number> {
    const batch = { topic: TOPIC, messages: messages.map((value) => ({ value, ...optionsOf(value) })) }
    const results = await this.mq.sendBatchSync(batch)
    return results.filter(({ error }) => error !== undefined).length
  }

  /** The last messages to a person, oldest first. */
  messagesTo(user: string): readonly ChatMessage[] {
    return this.#received.get(user) ?? []
  }

  /** Calls for each further message to a person; returns the way to stop it. */
  listen(user: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(user) ?? new Set()
    this.#listeners.set(user, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(user)
    }
  }

  async close(): Promise<void> {
    await this.mq.close()
  }

  #deliver({ value: message }: RecordView<ChatMessage, string>): void {
    if (message === null) return
    this.#total++
    const received = this.#received.get(message.to_user) ?? []
    received.push(message)
    if (received.length > KEPT_PER_USER) received.shift()
    this.#received.set(message.to_user, received)
    for (const listener of this.#listeners.get(message.to_user) ?? []) listener(message)
  }
}

function optionsOf({ to_user, from_user, message_type }: ChatMessage) {
  return { key: to_user, headers: { message_type, from_user } }
}
