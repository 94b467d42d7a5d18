/**
 * Checks docker/compose.*.yml: by `docker compose config` where it is installed, else by the older docker-compose, which
 * does not know the top-level `name`. Needs no docker engine.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../docker/', import.meta.url))
const ways = [
  { name: 'docker compose', command: ['docker', 'compose'], hasName: true },
  { name: 'docker-compose', command: ['docker-compose'], hasName: false },
]
const way = ways.find(({ command: [program, ...args] }) => spawnSync(program, [...args, 'version']).status === 0)
if (way === undefined) {
  console.error('neither docker compose nor docker-compose is installed: the compose files are not checked')
  process.exit(1)
}
let failed = 0
for (const file of readdirSync(FOLDER).filter((name) => /^compose\..*\.yml$/.test(name))) {
  const text = readFileSync(FOLDER + file, 'utf8')
  const input = way.hasName ? text : text.replace(/^name:.*$/m, '')
  const [program, ...args] = [...way.command, '-p', 'check', '--project-directory', FOLDER, '-f', '-', 'config', '-q']
  const { status, stderr } = spawnSync(program, args, { input, encoding: 'utf8' })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${file} by ${way.name} ${status === 0 ? '' : stderr}`)
  if (status !== 0) failed++
}
process.exit(failed === 0 ? 0 : 1)
