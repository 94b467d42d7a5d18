/**
 * Counts the tests that really ran from a vitest JSON report: `node scripts/ci/count.mjs <report> <exit code of the run>`.
 * Invariant: a run that ended badly never counts as zero failures, also when its report is missing or says nothing.
 * Prints "N passed, N failed, N skipped", words and numbers alternating.
 */
import { readFileSync } from 'node:fs'

const [file, exitCode] = process.argv.slice(2)
const report = read(file)
const passed = report.numPassedTests ?? 0
const skipped = (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0)
// A file that cannot be imported holds no failed test, but fails all the same.
const unloaded = (report.testResults ?? []).filter(
  (suite) => suite.status === 'failed' && suite.assertionResults.length === 0,
)
const failed = (report.numFailedTests ?? 0) + unloaded.length
const unexplained = failed === 0 && (Number(exitCode) !== 0 || passed === 0) ? 1 : 0
console.log(`${passed} passed, ${failed + unexplained} failed, ${skipped} skipped`)

function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return {}
  }
}
