/**
 * kcat's modes as our commands: `tandem-mq -P -t orders` is `tandem-mq produce -t orders`.
 * Why a translation of the words and no second parser: the options have the same letters, so only the mode moves.
 */
const MODES: Readonly<Record<string, string>> = { P: 'produce', C: 'consume', L: 'metadata', Q: 'offsets' }
/** Letters whose value is the next word, so that it is not taken for an option. */
const WITH_VALUE = new Set('btpDKkHzcofXFmG')

/** The words as they are when the first one is a command already. */
export function fromKcat(words: readonly string[]): readonly string[] {
  if (words[0] === undefined || !/^-[A-Za-z]/.test(words[0])) return words
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (word === '--') break
    if (!/^-[A-Za-z]/.test(word)) continue
    const letter = word[1] as string
    const command = MODES[letter]
    if (command !== undefined) {
      const others = word.length > 2 ? [`-${word.slice(2)}`] : []
      return [command, ...words.slice(0, at), ...others, ...words.slice(at + 1)]
    }
    if (letter === 'G') return ['consume', ...words]
    if (WITH_VALUE.has(letter) && word.length === 2) at++
  }
  return words
}
