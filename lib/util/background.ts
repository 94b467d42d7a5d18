/**
 * Background work that nobody awaits.
 * Why: a promise without a catch ends the process or hides a failure; here every failure reaches a reporter by name.
 */
export function runInBackground(
  name: string,
  task: () => Promise<void>,
  report: (name: string, error: unknown) => void,
): void {
  void invoke(name, task, report)
}

async function invoke(
  name: string,
  task: () => Promise<void>,
  report: (name: string, error: unknown) => void,
): Promise<void> {
  try {
    await task()
  } catch (error) {
    report(name, error)
  }
}
