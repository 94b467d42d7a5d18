/**
 * Finds Java and the jars of Apache Kafka; fetches the jars once with Maven.
 * Why Maven: the artifacts are signed, versioned and small (54 MB), and need neither a docker engine nor a tarball mirror.
 * Invariant: a jar folder without its `VERSION` file is incomplete and is fetched again; the folder appears by one rename,
 * so that a second caller never sees half of it.
 * Source: kafka.md 7.1.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DEFAULT_VERSION = '4.1.1'
const OLDEST_JAVA = 17
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

/** What the user has to know, without a stack trace. */
export class PlainError extends Error {}

export const kafkaVersion = () => process.env.KAFKA_VERSION || DEFAULT_VERSION
export const kafkaFolder = () => join(REPOSITORY, '.kafka')

/** The folder with the jars; other versions than the default live beside it. */
export function jarFolder() {
  const version = kafkaVersion()
  return join(kafkaFolder(), version === DEFAULT_VERSION ? 'lib' : `lib-${version}`)
}

/** Path of `java`, once its version is known to suffice. */
export function findJava() {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java'
  const answer = spawnSync(java, ['-version'], { encoding: 'utf8' })
  if (answer.error || answer.status !== 0) {
    throw new PlainError(
      `Apache Kafka needs Java ${OLDEST_JAVA} or newer, and \`${java}\` could not be run.\n` +
        'Install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless), or set KAFKA_BROKERS to a Kafka that is already running.',
    )
  }
  const major = Number(/version "(\d+)/.exec(answer.stderr)?.[1] ?? Number.NaN)
  if (major < OLDEST_JAVA) {
    throw new PlainError(
      `Apache Kafka needs Java ${OLDEST_JAVA} or newer, and \`${java}\` is ${major}: set JAVA_HOME to a newer one.`,
    )
  }
  return java
}

/** Returns the jar folder; fetches what is missing. `say` prints progress. */
export function ensureJars(say) {
  const folder = jarFolder()
  const version = kafkaVersion()
  if (existsSync(join(folder, 'VERSION')) && readFileSync(join(folder, 'VERSION'), 'utf8').trim() === version)
    return folder
  requireMaven()
  say(`fetching Apache Kafka ${version} with Maven (about 54 MB, once)`)
  const startedMs = Date.now()
  const work = join(kafkaFolder(), `fetch-${process.pid}`)
  mkdirSync(work, { recursive: true })
  try {
    writeFileSync(join(work, 'pom.xml'), pom(version))
    copyDependencies(work)
    writeFileSync(join(work, 'lib', 'VERSION'), `${version}\n`)
    mkdirSync(dirname(folder), { recursive: true })
    rmSync(folder, { recursive: true, force: true })
    renameSync(join(work, 'lib'), folder)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  say(`fetched in ${((Date.now() - startedMs) / 1000).toFixed(1)} s`)
  return folder
}

function requireMaven() {
  const answer = spawnSync('mvn', ['-v'], { encoding: 'utf8' })
  if (!answer.error && answer.status === 0) return
  throw new PlainError(
    'The jars of Apache Kafka are fetched with Maven, and `mvn` could not be run.\n' +
      'Install it (Debian, Ubuntu: apt-get install maven), or set KAFKA_BROKERS to a Kafka that is already running.',
  )
}

function copyDependencies(folder) {
  const answer = spawnSync(
    'mvn',
    ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(folder, 'lib')}`],
    {
      cwd: folder,
      encoding: 'utf8',
    },
  )
  if (answer.status === 0) return
  const story = `${answer.stdout}${answer.stderr}`.trim().split('\n').slice(0, 12).join('\n')
  throw new PlainError(`Maven could not fetch Apache Kafka ${kafkaVersion()}:\n${story}`)
}

const pom = (version) => `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${version}</version></dependency>
  </dependencies>
</project>
`
