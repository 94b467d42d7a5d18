/** Which characters HTTP allows where (RFC 9110 section 5.6.2 and 5.5). */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const NOT_IN_A_VALUE = /[^\t\x20-\x7e\x80-\xff]/

export function isToken(text: string): boolean {
  return TOKEN.test(text)
}

export function isFieldValue(text: string): boolean {
  return !NOT_IN_A_VALUE.test(text)
}
