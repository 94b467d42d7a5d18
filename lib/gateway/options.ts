/**
 * What a gateway can be told. Rows, defaults and ranges are in `config`; here is what has a type of this room.
 * Invariant: what comes out of `resolveOptions` is complete, frozen and in range.
 */
import { type GatewaySettings, resolveGatewayOptions } from '../config/index.js'
import { Permissions } from './permissions.js'
import type { Credentials, Identity } from './types.js'

/** Null: refused. It may take `authTimeoutMs`. What it throws refuses, and is an `error` of the gateway. */
export type Authenticate = (credentials: Credentials) => Identity | null | Promise<Identity | null>

interface Callbacks {
  /** Says who somebody is. Without it nobody may do anything but what `anonymous` allows. */
  readonly authenticate?: Authenticate
  /** What those may do who show no token. Default: they are refused. */
  readonly anonymous?: Omit<Identity, 'name'>
  /** Figures for the dashboard, once per second while somebody looks. `mq.gateway` gives those of the instance. */
  readonly stats?: () => unknown
}

/** Either address, or both. See `GatewaySettings` for what each field means. */
export type GatewayOptions = Callbacks & { readonly [Name in keyof GatewaySettings]?: GatewaySettings[Name] }

export interface ResolvedGatewayOptions extends GatewaySettings {
  readonly authenticate: Authenticate | undefined
  readonly stats: (() => unknown) | undefined
  /** Null: everybody shows a token. */
  readonly anonymous: Permissions | null
}

/** Throws INVALID_CONFIG or MISSING_CONFIG naming every field in `context.issues`. */
export function resolveOptions(options: GatewayOptions): ResolvedGatewayOptions {
  const settings = resolveGatewayOptions(options) as GatewaySettings & Callbacks
  const { anonymous } = settings
  return Object.freeze({
    ...settings,
    authenticate: settings.authenticate,
    stats: settings.stats,
    anonymous: anonymous === undefined ? null : new Permissions({ ...anonymous, name: '' }, true),
  })
}
