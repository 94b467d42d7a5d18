/**
 * Topic ids as the library knows them: 22 characters of base64url, as Kafka prints them.
 * Why text: ids are map keys and log words; 16 raw bytes would be neither.
 */
import { randomBytes } from 'node:crypto'

/** The id that means "none". */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA'

/** A random (version 4) id. Kafka avoids a leading dash, which would look like an option on a command line. */
export function randomUuid(random: (length: number) => Uint8Array = randomBytes): string {
  for (;;) {
    const bytes = Buffer.from(random(16))
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
    const text = bytes.toString('base64url')
    if (!text.startsWith('-')) return text
  }
}
