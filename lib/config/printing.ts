/**
 * A resolved configuration may be printed (console.log, util.inspect, JSON) without giving a secret away.
 * Why methods on the objects: people print what they have; nobody remembers to call a redacting function first.
 * Invariant: the fields themselves stay readable and enumerable, because clients use them and copies must keep them.
 * Source: features.md CL-6.
 */
import { inspect } from 'node:util'
import type { FieldSpec } from './field.js'
import { shownBy } from './scope.js'

/** Gives `target` printed forms that show each field as its row allows. Groups in it have printed forms of their own. */
export function hideSecrets(target: object, specOf: (name: string) => FieldSpec | undefined): void {
  const printed = () => {
    const fields = Object.entries(target).map(([name, value]) => {
      const spec = specOf(name)
      return [name, spec === undefined ? (value as unknown) : shownBy(spec, value)]
    })
    return Object.fromEntries(fields) as object
  }
  Object.defineProperties(target, { toJSON: { value: printed }, [inspect.custom]: { value: printed } })
}
