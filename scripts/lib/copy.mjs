// Copies the files of one folder that the compiler leaves behind: `copy.mjs <from> <to> <ending> ...`, both inside the repository.
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const [from, to, ...endings] = process.argv.slice(2)
const at = (folder) => fileURLToPath(new URL(`../../${folder}`, import.meta.url))
const names = readdirSync(at(from)).filter((name) => endings.some((ending) => name.endsWith(ending)))
if (names.length === 0) throw new Error(`no ${endings.join(', ')} in ${from}: nothing to copy is a mistake`)
mkdirSync(at(to), { recursive: true })
for (const name of names) copyFileSync(join(at(from), name), join(at(to), name))
