/** What a benchmark does before its first run: reads its options, builds what is measured, says where it runs. */
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

/** The options, or the exit code: 0 after the help, 2 after a sentence about what is wrong. */
export function optionsOrExit<T>(parse: () => T | null, help: string): T | number {
  try {
    const options = parse()
    if (options !== null) return options
    console.log(help)
    return 0
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return 2
  }
}

/** The published form is measured: loaders that compile on the fly leave traces in hot functions. */
export function build(): void {
  execFileSync(process.execPath, ['scripts/run.mjs', 'build'], {
    cwd: REPOSITORY,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

export function environmentOf(options: { readonly brokers: readonly string[] | null }): object {
  const processors = cpus()
  return {
    time: new Date().toISOString(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: `${processors.length} x ${processors[0]?.model ?? 'unknown'}`,
    kafka: options.brokers === null ? `started here (${process.env.KAFKA_VERSION ?? '4.1.1'})` : 'given',
    options: { ...options, brokers: undefined, out: undefined },
  }
}
