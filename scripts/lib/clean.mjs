// Removes folders inside the repository: a build must not ship files whose sources are gone.
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

for (const folder of process.argv.slice(2)) {
  rmSync(fileURLToPath(new URL(`../../${folder}`, import.meta.url)), { recursive: true, force: true })
}
