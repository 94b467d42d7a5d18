/** Errors in the system's form, for what this room decides itself. Their codes are those `WalFs.lock` promises. */

/** Somebody else has the lock. */
export function refused(path: string): NodeJS.ErrnoException {
  return systemError('EWOULDBLOCK', `somebody else holds the lock ${path}`)
}

/** The method does not exist on this machine. */
export function notHere(method: string, why: string): NodeJS.ErrnoException {
  return systemError('ENOTSUP', `the lock method ${method} is not available here: ${why}`)
}

export function systemError(code: string, text: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${text}`), { code })
}
