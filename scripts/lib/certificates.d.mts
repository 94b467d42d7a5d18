/** Types of certificates.mjs, for the tests; the scripts themselves run without a compiler. */

export interface CertificateWish {
  /** Names and addresses a server answers under. */
  readonly hosts?: readonly string[]
  /** For a client; otherwise for a server. */
  readonly client?: boolean
  /** Valid until yesterday. */
  readonly expired?: boolean
  /** Common name; default: the first host, or `client`. */
  readonly name?: string
  /** Encrypts the key. */
  readonly passphrase?: string
}

/** PEM texts. */
export interface Issued {
  readonly cert: string
  readonly key: string
}

export interface Authority {
  /** PEM text, for those who shall trust it. */
  readonly cert: string
  issue(wish: CertificateWish): Promise<Issued>
}

export function makeAuthority(name?: string): Promise<Authority>
export function fingerprintOf(cert: string): string
