/**
 * Certificates for tests of TLS, made anew in each run: a test that keeps its keys fails on the day they expire.
 * The work is done by the module that `scripts/kafka` uses for its secure listeners, so both speak of the same thing.
 */
export {
  type Authority,
  type CertificateWish,
  fingerprintOf,
  type Issued,
  makeAuthority,
} from '../../scripts/lib/certificates.mjs'
