/**
 * From a gateway's options to frozen, complete settings, along the same tables as everything else.
 * Invariant: the input is never changed; every finding is thrown at once. Source: GW-1..GW-4.
 */
import { Draft } from './draft.js'
import { gatewayFields } from './gateway-fields.js'
import type { GatewaySettings } from './gateway-types.js'
import { Findings } from './issues.js'
import { fieldsOf, isPlainObject } from './objects.js'
import { collect, type Entries, scopeOf } from './scope.js'
import { kindOf } from './shown.js'

const scope = scopeOf(gatewayFields)
const TLS = ['cert', 'key', 'passphrase', 'ca', 'clientCertificate'].map((name) => `tls.${name}`)

/** Callbacks and identities are handed through as they are. Throws INVALID_CONFIG or MISSING_CONFIG with every finding. */
export function resolveGatewayOptions(options: unknown): GatewaySettings & Readonly<Record<string, unknown>> {
  const findings = new Findings()
  const given = entriesOf(options, findings)
  const draft = new Draft(scope, given, '', findings)
  if (!given.has('websocket') && !given.has('tcp')) {
    findings.missing('websocket', "an address to listen on, such as '127.0.0.1:8080', or one for tcp")
  }
  relateWebSocket(draft)
  const hasTls = TLS.some((path) => draft.isSet(path))
  for (const path of ['tls.cert', 'tls.key']) {
    if (hasTls && !given.has(path)) findings.missing(path, 'a PEM text, because tls is given')
  }
  findings.throwIfAny()
  const settings = draft.finish() as GatewaySettings & Record<string, unknown>
  return Object.freeze(hasTls ? settings : { ...settings, tls: undefined })
}

function entriesOf(options: unknown, findings: Findings): Entries {
  const fields = isPlainObject(options) ? fieldsOf(options) : undefined
  if (fields !== undefined) return collect(fields, scope, '', findings)
  findings.invalid('options', kindOf(options), 'an object')
  return new Map()
}

/** What is served over HTTP needs the address for it. */
function relateWebSocket(draft: Draft): void {
  if (draft.isSet('websocket')) return
  for (const path of ['pages', 'dashboard']) {
    if (draft.isSet(path) && draft.get(path) !== false) {
      draft.findings.missing('websocket', `an address, because ${path} is served there`)
    }
  }
}
