/**
 * Which names and passwords can be used at all.
 * Why refuse and not map: SASLprep (RFC 4013) maps texts to one form, but Kafka's own clients and tools hash the UTF-8
 * bytes as they are given. Mapping here would lock out a user whose password has two forms; what SASLprep forbids in
 * any form is refused, because no two programs agree on it.
 */
import { MQError } from '../../errors/index.js'

/**
 * RFC 3454 C.2 to C.9 as Unicode knows them: control characters, lone surrogates, private use, non-characters, line
 * and paragraph separators, tags, and characters that change how a text is displayed.
 */
const FORBIDDEN =
  /[\p{Cc}\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\p{Zl}\p{Zp}\u2ff0-\u2ffb\ufff9-\ufffd\u200e\u200f\u202a-\u202e\u2060-\u2063\u206a-\u206f\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/u

/** Throws INVALID_CONFIG for an empty text, and for one with a character that cannot be prepared. Never shows it. */
export function checkPrepared(field: string, text: string): void {
  const expected = 'a text without control characters, lone surrogates and characters that only change the display'
  if (text.length > 0 && !FORBIDDEN.test(text)) return
  const found = text.length === 0 ? 'an empty one' : `one with such a character (SASLprep refuses it)`
  throw new MQError('INVALID_CONFIG', `${field}: expected ${expected}, got ${found}`, { path: field })
}
