/**
 * Completes package-lock.json after a change of dependencies: `npm install && node scripts/complete-lock.mjs`.
 * Why: packages with native parts list one optional package per platform. npm leaves those out of the lock file that it could
 * not fetch (a mirror without them, or npm/cli#4828), and then `npm ci` refuses the file on every machine.
 * Invariant: afterwards each optional dependency has an entry, exactly as pinned by the package that wants it; nothing
 * present is changed, and no entry names the address of a registry.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FILE = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const OS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const CPU = ['arm64', 'arm', 'ia32', 'x64', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32']

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const added = addMissing(lock.packages)
const stripped = stripAddresses(lock.packages)
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`package-lock.json: ${added} entries of other platforms added, ${stripped} addresses removed`)

function addMissing(packages) {
  let count = 0
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (`node_modules/${name}` in packages || `${path}/node_modules/${name}` in packages) continue
      packages[`node_modules/${name}`] = platformEntry(name, version, entry)
      count++
    }
  }
  return count
}

/** Such packages are called `<name>-<os>-<cpu>[-<abi>]`, and pinned exactly; a range would need the registry. */
function platformEntry(name, version, wantedBy) {
  const words = name.split('/').pop().split(/[-_]/)
  const os = OS.filter((word) => words.includes(word))
  const cpu = CPU.filter((word) => words.includes(word) || (word === 'arm' && words.includes('armv7')))
  if (!/^\d+\.\d+\.\d+/.test(version) || os.length + cpu.length === 0) {
    throw new Error(
      `${name}@${version} is not a pinned platform package: run npm install with a registry that serves it`,
    )
  }
  const libc =
    words.includes('musl') || words.includes('musleabihf') ? ['musl'] : words.includes('gnu') ? ['glibc'] : []
  return {
    version,
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(wantedBy.dev ? { dev: true } : {}),
    ...(libc.length > 0 ? { libc } : {}),
    optional: true,
    ...(os.length > 0 ? { os } : {}),
  }
}

function stripAddresses(packages) {
  let count = 0
  for (const entry of Object.values(packages)) {
    if ('resolved' in entry && !entry.link) {
      delete entry.resolved
      count++
    }
  }
  return count
}
